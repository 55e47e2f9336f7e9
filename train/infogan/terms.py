"""Further terms of the losses of D and G, by name: those of the package and your own.

A term is a function of the networks and of the images and latents of a step, with a weight in the config.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.runtime.errors import InfoganError, UsageError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS
from infogan_tool.train.engine.registry import Registry, describe_error
from infogan_tool.train.engine.stage import autocast
from infogan_tool.train.engine.statistics import frozen_statistics
from infogan_tool.train.infogan.latents import LatentBatch, sample_latents
from infogan_tool.train.infogan.objective import (
    HESSIAN_STEP,
    coarse_moments,
    direction_penalty,
    effects_of_codes,
    hessian_penalty,
)
from infogan_tool.train.infogan.transformations import (
    BEGINNING,
    TURN,
    TURN_LEARNED,
    angular_moments,
    explained_by_category,
    share_by,
    shown_angle_of_real,
    soften,
    transform,
    transformation_loss,
    turn_loss,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Networks


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of the updates and terms of one step; with several processes this one's shard."""

    real: Tensor
    """Real images ``(N, C, H, W)``."""
    fake: Tensor
    """G's images of ``latent``, with G's gradient in the update of G only. That of D gets both as D sees
    them: augmented."""
    latent: LatentBatch
    """The latents of ``fake``; in the updates those of all processes, in a term this one's."""
    real_categories: Tensor | None = None
    """Pseudo-labels ``(N,)`` of ``real``, where D is conditional."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TermInputs(Batch):
    """What a term is computed from."""

    networks: Networks
    """In training mode. Statistics of BatchNorm are not updated by a term."""
    config: TrainConfig
    """The run's config."""
    rng: torch.Generator
    """The step's source of randomness, on the device."""
    progress: Tensor
    """Share of adversarial training before this step, from 0 to 1: a scalar on the device."""
    features: tuple[Tensor, Tensor] | None = None
    """The trunk's features of ``real`` and ``fake``; None where the update has not computed both."""
    group: ProcessGroup = SINGLE_PROCESS
    """The processes of the training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """A term of the loss of one update."""

    compute: Callable[[TermInputs], Tensor]
    """Returns a scalar: of this process's images, or, if ``gathers``, of all processes'."""
    update: Literal["D", "G", "Q"]
    """The update whose loss it is added to. Q: that which moves Q, and whatever else it moves."""
    every: int = 1
    """Steps between two computations, where the config does not say."""
    gathers: bool = False
    """Whether it exchanges what it needs with other processes itself."""


def r1(inputs: TermInputs) -> Tensor:
    """Return E|dD(x) / dx|^2 / 2 on real images (Mescheder et al., arXiv:1801.04406, equation 9)."""
    networks = inputs.networks
    real = inputs.real.detach().requires_grad_()
    features = networks.trunk(real)
    angle = shown_angle_of_real(networks, inputs.config, real, features, inputs.progress)
    logits = networks.d_head(features, inputs.real_categories, angle)
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return 0.5 * gradient.square().sum(dim=(1, 2, 3)).mean()


def hessian(inputs: TermInputs) -> Tensor:
    """Return the penalty of one pair of continuous codes, chosen at random, on fresh latents."""
    spec, rng, group = inputs.latent.spec, inputs.rng, inputs.group
    count = max(inputs.config.objective.hessian_latents, group.size)
    latent = sample_latents(spec, count, rng)[group.shard(count)]
    moves = HESSIAN_STEP * torch.eye(spec.continuous, device=rng.device, dtype=latent.styles.dtype)
    pairs = torch.triu_indices(spec.continuous, spec.continuous, 1, device=rng.device)
    chosen = torch.randint(pairs.shape[1], (1,), generator=rng, device=rng.device)
    first, second = moves[pairs[:, chosen].flatten()]
    (effects,) = group.all_gather(
        count, effects_of_codes(_generate_moved(inputs, latent, first, second, first + second))
    )
    return hessian_penalty(effects)


def direction(inputs: TermInputs) -> Tensor:
    """Return the direction penalty of one free continuous code, chosen at random, on fresh latents."""
    spec, rng, group = inputs.latent.spec, inputs.rng, inputs.group
    count = max(_DIRECTION_LATENTS, group.size)
    latent = sample_latents(spec, count, rng)[group.shard(count)]
    moves = HESSIAN_STEP * torch.eye(spec.continuous, device=rng.device, dtype=latent.styles.dtype)
    moves = torch.stack([moves[code] for code in inputs.config.free_codes])
    chosen = torch.randint(len(moves), (1,), generator=rng, device=rng.device)
    before, after = _generate_moved(inputs, latent, moves[chosen][0]).chunk(2)
    (effects,) = group.all_gather(count, coarse_moments(after - before))
    return direction_penalty(effects)


def _generate_moved(inputs: TermInputs, latent: LatentBatch, *moves: Tensor) -> Tensor:
    """Return images of latents, then of the same with each move added to the styles; the last is greatest.

    The styles are drawn together first, so that all that are moved lie in the prior's range.
    """
    styles = latent.styles * (1 - moves[-1] / 2) - moves[-1] / 2
    corners = [replace(latent, styles=styles + move) for move in (0 * moves[-1], *moves)]
    vectors = torch.cat([corner.vector() for corner in corners])
    with autocast(inputs.rng.device, inputs.config.precision):
        images: Tensor = inputs.networks.generator(vectors).float()
    return images


def transformations(inputs: TermInputs) -> Tensor:
    """Return the loss of Q on a batch of images and random transformations of each.

    It is :func:`transformation_loss`; with ``turn`` also :func:`turn_loss` of its code and
    :func:`explained_by_category` of the other ones. Categories are those that D is conditioned on, if it is.

    The batch is of real or of generated images, by chance: Q, a head on D's trunk, can tell which, and would
    read generated ones by other rules.
    """
    names, rng, group = inputs.config.objective.transformations, inputs.rng, inputs.group
    is_real = torch.rand((), generator=rng, device=rng.device) < 0.5  # noqa: PLR2004
    images = torch.where(is_real, inputs.real, inputs.fake.detach())
    count = len(images) if group.is_single else inputs.config.schedule.batch_size
    shard = group.shard(count)

    def uniform(*shape: int) -> Tensor:
        """Return numbers from 0 to 1 for this process's images; those of all are drawn."""
        return torch.rand(*shape, count, generator=rng, device=rng.device)[..., shard]

    moves, turn = [name for name in names if name != TURN], inputs.config.objective.turn_column
    amounts = 2 * uniform(len(moves)) - 1
    with torch.no_grad():
        given = [images, transform(images, moves, amounts)]
        # What is enlarged is also blurred, and its size or width must not be told by that.
        if "scale" in names:
            given[1] = soften(given[1], uniform())
        if "aspect" in names:
            for size in ((1, 3), (3, 1)):
                given[1] = soften(given[1], uniform(), size)
        if turn is not None:
            angle = 2 * uniform() - 1
            in_middle = [turned(images, a, uniform()) for a in (0 * angle, angle)]
            given += [soften(image, uniform()) for image in in_middle]
            moments = angular_moments(in_middle[0])
    with autocast(rng.device, inputs.config.precision):
        # A batch each: BatchNorm's running statistics are those of images that are not transformed.
        known = None if inputs.features is None else torch.where(is_real, *inputs.features)
        infer = inputs.networks.infer_styles
        codes = [infer(images, known).float(), *(infer(part).float() for part in given[1:])]
    before, after = codes[:2]
    if turn is None:
        return transformation_loss(*group.all_gather(count, after - before, amounts.T))
    changes, own = (torch.cat([p[:, :turn], p[:, turn + 1 :]], 1) for p in (after - before, before))
    loss = transformation_loss(*group.all_gather(count, changes, amounts.T))
    before, _, middle, after = (part[:, turn] for part in codes)
    members = torch.ones_like(before)[:, None]
    if inputs.real_categories is not None:
        categories = torch.where(is_real, inputs.real_categories, inputs.latent.categories[:, 0])
        members = F.one_hot(categories, inputs.latent.spec.categorical[0]).float()
    own, before, middle, after, angle, members, moments = group.all_gather(
        count, own[:, : len(moves)], before, middle, after, angle, members, moments
    )
    share = share_by(inputs.progress, TURN_LEARNED)
    turned_by = turn_loss(before, middle, after, angles=angle, members=members, moments=moments)
    return loss + share * turned_by + explained_by_category(own, members)


TERMS: Final = Registry[Term](
    "loss term",
    {
        "r1": Term(compute=r1, update="D", every=16),
        "hessian": Term(compute=hessian, update="G", gathers=True),
        "direction": Term(compute=direction, update="G", gathers=True),
        "transformations": Term(compute=transformations, update="Q", gathers=True),
    },
    registered_by="register_term",
)
"""By key of ``objective.terms``, but for :data:`_OWN_WEIGHTS`."""
_OWN_WEIGHTS: Final = {
    "hessian": "hessian_penalty",
    "direction": "direction_penalty",
    "transformations": "transformations_weight",
}
"""Terms whose weight is another key of ``objective``."""

_DIRECTION_LATENTS: Final = 8
"""Per step, of the direction penalty; at least one for each process."""
_CHECKED: Final = 4
"""Images of the check."""
C = TypeVar("C", bound="Callable[[TermInputs], Tensor]")


def register_term(name: str, *, update: Literal["D", "G", "Q"] = "G", every: int = 1) -> Callable[[C], C]:
    """Return a decorator that registers a function of :class:`TermInputs` as a term of the loss.

    Args:
        name: Key of ``objective.terms``. The metric is ``Loss/UPDATE/NAME``.
        update: The update whose loss it is added to; Q: that which moves Q.
        every: Steps between two computations, where the config does not say.

    Raises:
        UsageError: The name is that of a term of the package, or not a name.
    """
    if update not in {"D", "G", "Q"} or every < 1:
        raise UsageError(f"loss term '{name}': update is 'D', 'G' or 'Q', and every at least 1")

    def register(compute: C) -> C:
        TERMS.register(name, Term(compute=compute, update=update, every=every))
        return compute

    return register


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveTerm:
    """A term that a config gives a weight."""

    name: str
    term: Term
    weight: float
    every: int
    initial: float = 0.0
    """What is added to the weight at first."""

    @property
    def metric(self) -> str:
        """Name in metrics and errors."""
        return f"Loss/{self.term.update}/{self.name}"

    def weight_at(self, progress: Tensor) -> Tensor | float:
        """Return the weight at a share of adversarial training."""
        if not self.initial:
            return self.weight
        return self.weight + self.initial * (1 - share_by(progress, BEGINNING))

    def compute(self, inputs: TermInputs) -> Tensor:
        """Return the term over the images of all processes, times the steps that it stands for.

        Raises:
            UsageError: The function fails, or does not return one number with a gradient.
        """
        try:
            with frozen_statistics(inputs.networks):
                value = self.term.compute(inputs)
        except InfoganError:
            raise
        except Exception as error:
            raise UsageError(f"loss term '{self.name}': {describe_error(error)}") from error
        if not isinstance(value, Tensor) or value.shape or not value.requires_grad:
            shown = (
                f"a tensor of shape {tuple(value.shape)}"
                + ("" if value.requires_grad else " without a gradient")
                if isinstance(value, Tensor)
                else type(value).__name__
            )
            raise UsageError(f"loss term '{self.name}' returns {shown}, not one number with a gradient")
        if value.device != inputs.real.device:
            raise UsageError(
                f"loss term '{self.name}' returns a number on {value.device}, not on {inputs.real.device}"
            )
        if not self.term.gathers and not inputs.group.is_single:
            shard = value.float().expand(len(inputs.real), 1)
            (values,) = inputs.group.all_gather(inputs.config.schedule.batch_size, shard)
            value = values.mean()
        return self.every * value.float()


def active_terms(config: TrainConfig) -> list[ActiveTerm]:
    """Return the terms that the config gives a weight, in order.

    Raises:
        UsageError: A term is not known; nothing is imported.
    """
    if config.is_variational:
        return []
    terms = []
    active = {
        "hessian": config.penalises_hessian,
        "direction": config.free_codes,
        "transformations": config.objective.transformations,
    }
    for name, key in _OWN_WEIGHTS.items():
        weight = getattr(config.objective, key)
        initial = config.objective.initial_hessian_penalty if name == "hessian" else 0.0
        if active[name] and (weight or initial):
            terms.append(ActiveTerm(name=name, term=TERMS.get(name), weight=weight, every=1, initial=initial))
    for name, given in config.objective.terms.items():
        term = TERMS.get(name)
        if name in _OWN_WEIGHTS:
            raise UsageError(f"the weight of loss term '{name}' is objective.{_OWN_WEIGHTS[name]}")
        if given.weight:
            terms.append(
                ActiveTerm(name=name, term=term, weight=given.weight, every=given.every or term.every)
            )
    return terms


def due_terms(terms: Collection[ActiveTerm], index: int) -> frozenset[str]:
    """Return the names of the terms that are computed in step number ``index``."""
    return frozenset(term.name for term in terms if index % term.every == 0)


@torch.random.fork_rng(devices=[])
def check_terms(
    config: TrainConfig, networks: Networks, updates: Mapping[str, str], group: ProcessGroup = SINGLE_PROCESS
) -> None:
    """Compute each term once, on random images and networks with their initial weights.

    Args:
        config: Of the training.
        networks: As :func:`build_networks` returns them.
        updates: Name of the update that each term belongs to, by the term's name.
        group: The processes of the training; the check itself does not communicate.

    Raises:
        UsageError: A term is not known, fails, does not return one number, or cannot be computed by several
            processes.
    """
    terms = active_terms(config)
    if not terms:
        return
    if not group.is_single and any(term.name == "r1" for term in terms):
        _refuse_batchnorm(networks.trunk)
    image, rng = networks.image, torch.Generator().manual_seed(config.seed)
    latent = sample_latents(config.latent, _CHECKED, rng)
    real = image.low + (image.high - image.low) * torch.rand(_CHECKED, *image.shape, generator=rng)
    with frozen_statistics(networks):
        fake = networks.generator(latent.vector())
    for term in terms:
        term.compute(
            TermInputs(
                real,
                fake if updates[term.name] == "G" else fake.detach(),
                latent,
                latent.categories[:, 0] if config.num_conditions else None,
                networks=networks,
                config=config,
                rng=rng,
                progress=torch.ones(()),
            )
        )


def _refuse_batchnorm(trunk: nn.Module) -> None:
    # The second derivative of SyncBatchNorm is not known.
    if any(isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) for part in trunk.modules()):
        raise UsageError(
            "term r1 in several processes needs a D without BatchNorm: networks.spectral_norm = true"
        )
