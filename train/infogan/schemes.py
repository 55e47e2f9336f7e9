"""Update schemes: which losses each update of a step minimises, and which parameters it moves.

Three different algorithms go by the name InfoGAN in public code. ``objective.information_update`` chooses one
of :data:`SCHEMES`:

=================  ======  =============================================  ===========================
scheme             update  loss that is minimised                         parameters that move
=================  ======  =============================================  ===========================
``q_head``         D       L_D                                            trunk, D head
                   G       L_G + sum of lambda E[-log Q(c|x)]             G, Q
``shared``         D       L_D + sum of lambda E[-log Q(c|x)]             trunk, D head, Q
                   G       L_G + sum of lambda E[-log Q(c|x)]             G
``separate_step``  G       L_G                                            G
                   D       L_D                                            trunk, D head
                   L_I     sum of lambda E[-log Q(c|x)], fresh latents    G, trunk, Q
=================  ======  =============================================  ===========================

``shared`` is what the paper's published code does, ``q_head`` most ports of it, ``separate_step`` a
well-known one. docs/explanation/update-schemes.md compares them by measurement.

:func:`register_scheme` adds a scheme of your own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine.optimizer_step import trainable_parameters
from infogan_tool.train.engine.registry import Registry
from infogan_tool.train.infogan.architecture_registry import ARCHITECTURES
from infogan_tool.train.infogan.terms import active_terms, check_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Networks
    from infogan_tool.train.infogan.terms import ActiveTerm


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer step."""

    name: Literal["D", "G", "L_I"]
    """Name in profiles, and of its optimizer."""
    terms: tuple[Literal["L_D", "L_G", "L_I"], ...]
    """Losses whose sum is minimised; L_I stands for the sum of lambda E[-log Q(c|x)]."""
    parameters: tuple[Literal["generator", "trunk", "d_head", "q"], ...]
    """Networks whose parameters move."""
    learning_rate: Literal["d_lr", "g_lr"]
    """Key of the config's ``optimizer`` table."""


SCHEMES: Final = Registry[tuple[Update, ...]](
    "update scheme",
    {
        "q_head": (
            Update("D", ("L_D",), ("trunk", "d_head"), "d_lr"),
            Update("G", ("L_G", "L_I"), ("generator", "q"), "g_lr"),
        ),
        "shared": (
            Update("D", ("L_D", "L_I"), ("trunk", "d_head", "q"), "d_lr"),
            Update("G", ("L_G", "L_I"), ("generator",), "g_lr"),
        ),
        "separate_step": (
            Update("G", ("L_G",), ("generator",), "g_lr"),
            Update("D", ("L_D",), ("trunk", "d_head"), "d_lr"),
            Update("L_I", ("L_I",), ("generator", "trunk", "q"), "g_lr"),
        ),
    },
    registered_by="register_scheme",
)
"""The updates of a step, in order, by value of ``objective.information_update``."""


def register_scheme(name: str, *updates: Update) -> None:
    """Register a scheme of your own, a value of ``objective.information_update``.

    Args:
        name: Name of the scheme.
        updates: In order: one of G, at least one of D, and at most one of L_I, which has latents of its own.

    Raises:
        UsageError: The updates are not a possible scheme, or the name is one of the package's.
    """
    if not all(isinstance(update, Update) for update in updates):
        raise UsageError(f"update scheme '{name}' is not possible: a scheme is made of Update(...)")
    names = [update.name for update in updates]
    allowed = {"D": {"L_D", "L_I"}, "G": {"L_G", "L_I"}, "L_I": {"L_I"}}
    optimizers = {(update.name, update.parameters, update.learning_rate) for update in updates}
    rules = {
        "one update G and at least one D": names.count("G") == 1 and "D" in names,
        "at most one update L_I, and no others": names.count("L_I") <= 1 and set(names) <= set(allowed),
        "L_D and L_I in D, L_G and L_I in G, L_I in L_I": all(
            min(allowed[u.name] - {"L_I"}, default="L_I") in u.terms and set(u.terms) <= allowed[u.name]
            for u in updates
            if u.name in allowed
        ),
        "an update with L_I that moves q": any("L_I" in u.terms and "q" in u.parameters for u in updates),
        "parameters of generator, trunk, d_head or q, and d_lr or g_lr": all(
            u.parameters
            and set(u.parameters) <= {"generator", "trunk", "d_head", "q"}
            and u.learning_rate in {"d_lr", "g_lr"}
            for u in updates
        ),
        "one optimizer for all updates of one name": len(optimizers) == len(set(names)),
        # The fakes of a step are generated before its first update.
        "no update that moves generator before that of G": all(
            "generator" not in u.parameters for u in takewhile(lambda u: u.name != "G", updates)
        ),
    }
    for rule, met in rules.items():
        if not met:
            raise UsageError(f"update scheme '{name}' is not possible: a scheme has {rule}")
    SCHEMES.register(name, updates)


def check_names(config: TrainConfig) -> None:
    """Refuse a config that names an architecture, update scheme or loss term that is not known.

    Raises:
        UsageError: Says how to name code of your own; nothing is imported.
    """
    ARCHITECTURES.get(config.networks.architecture)
    SCHEMES.get(config.objective.information_update)
    active_terms(config)


def updates_of(terms: Iterable[ActiveTerm], scheme: Sequence[Update]) -> dict[str, str]:
    """Return the name of the update whose loss each term is added to, by the term's name."""
    moves_q = next(update.name for update in scheme if "q" in update.parameters)
    return {term.name: moves_q if term.term.update == "Q" else term.term.update for term in terms}


def check_updates(config: TrainConfig, networks: Networks, group: ProcessGroup) -> None:
    """Check the updates of adversarial training, and compute each loss term once.

    Args:
        config: With names that are known.
        networks: With their initial weights; Q(k1|x) is frozen where adversarial training freezes it.
        group: The processes of the training.

    Raises:
        UsageError: An update has no parameters to move, or a loss term fails.
    """
    if config.is_variational:
        return
    if config.uses_clustering:
        networks.freeze_q_category()
    name = config.objective.information_update
    scheme = SCHEMES.get(name)
    for update in scheme:
        if not trainable_parameters(*(getattr(networks, part) for part in update.parameters)):
            raise UsageError(
                f"update scheme '{name}' has nothing to train in update {update.name}: "
                f"all parameters of {', '.join(update.parameters)} are frozen"
            )
    check_terms(config, networks, updates_of(active_terms(config), scheme), group)
