"""The training config: one tree of frozen tables that says a whole run.

A preset is a function that returns a full config (presets.py). A file (TOML or JSON) and then the command's
flags are laid over it, key by key; what comes out is validated, written into the run folder and never
changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from infogan_tool.runtime.errors import ConfigError, did_you_mean
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.storage.atomic import read_limited
from infogan_tool.runtime.storage.json_fields import refuse_deep
from infogan_tool.train.config.tables import (
    ClusteringConfig,
    ConsolidationConfig,
    DataConfig,
    NetworkConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    Table,
    ViewConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = [
    "TrainConfig",
    "complete_older",
    "config_digest",
    "deep_merge",
    "read_config_file",
    "validate_config",
]

_MAX_CONFIG_BYTES = 1_000_000
_MAX_DOTS = 100
_MAX_TOLD = 20


def _as_latent_spec(value: object) -> object:
    return value if isinstance(value, LatentSpec) else LatentSpec.from_dict(value)


class TrainConfig(Table):
    """Everything that decides the numbers of a run, apart from device and library versions."""

    preset: str
    """Name of the preset that this config began as."""
    seed: int = Field(ge=0, lt=2**32)
    """Seed of weights, order of data, latents and augmentation."""
    latent: Annotated[LatentSpec, BeforeValidator(_as_latent_spec)]
    """Noise and codes."""
    data: DataConfig
    """What is trained on."""
    networks: NetworkConfig
    """Widths and activations."""
    objective: ObjectiveConfig
    """Weights of the bound."""
    optimizer: OptimizerConfig
    """Adam's numbers."""
    augment: ViewConfig
    """What happens to every image, real or generated, before D sees it, and Q but for its own view."""
    q_view: ViewConfig | None
    """How a separate Q sees generated images in the game; None: as D does."""
    q_noise: float = Field(ge=0, le=1)
    """Greatest standard deviation, in the images' units, of noise on the generated images that a separate
    Q reads in the game and in consolidation; each image has its own, from 0."""
    clustering: ClusteringConfig | None
    """How Q(k1|x) is found beforehand; None: in the adversarial game alone, as in the paper."""
    consolidation: ConsolidationConfig | None
    """How Q learns on after the game; None: it does not."""
    precision: Literal["auto", "fp32", "tf32", "bf16"]
    """Of forward and backward passes; weights and updates are fp32. ``auto``: bf16 where it is fast."""
    schedule: ScheduleConfig
    """Length and intervals."""

    @model_validator(mode="after")
    def _posterior_needs_its_own_encoder(self) -> Self:
        if self.clustering is not None and self.networks.q != "separate":
            raise ValueError("a posterior found beforehand needs networks.q = 'separate'")
        return self

    @model_validator(mode="after")
    def _category_is_known_beforehand(self) -> Self:
        if self.networks.conditional and self.clustering is None:
            raise ValueError("networks.conditional needs a posterior found beforehand")
        return self

    @model_validator(mode="after")
    def _own_view_needs_an_own_encoder(self) -> Self:
        if self.q_view is not None and self.networks.q != "separate":
            raise ValueError("q_view needs networks.q = 'separate'")
        if self.q_noise and self.networks.q != "separate":
            raise ValueError("q_noise needs networks.q = 'separate'")
        return self

    @model_validator(mode="after")
    def _updates_of_the_trunk_need_it(self) -> Self:
        if self.objective.information_update != "q_head" and self.networks.q != "shared":
            raise ValueError(
                f"objective.information_update = '{self.objective.information_update}' "
                "needs networks.q = 'shared'"
            )
        return self

    @model_validator(mode="after")
    def _autoencoder_is_conditional(self) -> Self:
        if self.is_variational and (not self.uses_clustering or len(self.latent.categorical) != 1):
            raise ValueError(
                "a variational autoencoder is given the category: "
                "it needs one categorical code and a posterior"
            )
        if self.is_variational and (not self.latent.noise or self.latent.noise_prior != "normal"):
            raise ValueError("a variational autoencoder needs noise, and noise_prior = 'normal'")
        return self

    @model_validator(mode="after")
    def _consolidation_needs_a_branch_that_learns(self) -> Self:
        if self.consolidation is not None and self.uses_clustering and self.latent.code_names == ("k1",):
            raise ValueError(
                "consolidation has nothing to learn where k1, found beforehand, is the only code"
            )
        return self

    @property
    def uses_clustering(self) -> bool:
        """Whether Q(k1|x) is found before the adversarial game and stands still in it."""
        return self.clustering is not None and bool(self.latent.categorical)

    @property
    def num_conditions(self) -> int:
        """Of how many categories D is told one with each image; 0: it is told none."""
        told = self.networks.conditional and self.uses_clustering and not self.is_variational
        return self.latent.categorical[0] if told else 0

    @property
    def is_variational(self) -> bool:
        """Whether G is trained as the decoder of an autoencoder, without D."""
        return self.objective.method == "variational"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values that :func:`validate_config` reads back."""
        return self.model_dump(mode="json")


def validate_config(values: Mapping[str, Any]) -> TrainConfig:
    """Return the config for ``values``.

    Raises:
        ConfigError: Unknown keys with the nearest valid ones and values out of range, in one message; of very
            many the first.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()
        told = [_describe(item) for item in wrong[:_MAX_TOLD]]
        more = [f"and {len(wrong) - len(told):,} more"] if len(wrong) > len(told) else []
        raise ConfigError("config: " + "; ".join(told + more)) from error


def _describe(item: ErrorDetails) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown key '{place}'{_nearest_key(place)}"
    if item["type"] == "missing":
        return f"'{place}' is missing"
    message = item["msg"].removeprefix("Value error, ")
    given = "" if item["type"] == "value_error" else f" (not {item['input']!r:.60})"
    return f"'{place}': {message[:1].lower()}{message[1:]}{given}"


def _nearest_key(place: str) -> str:
    # A key is often right and in the wrong table: compare last names first, whole paths are the answer.
    by_name: dict[str, str] = {}
    for name, info in TrainConfig.model_fields.items():
        table = info.annotation
        is_table = isinstance(table, type) and issubclass(table, BaseModel)
        leaves = list(table.model_fields) if is_table else []  # type: ignore[union-attr]
        by_name[name] = name
        by_name.update({leaf: f"{name}.{leaf}" for leaf in leaves})
    hint = did_you_mean(place.rsplit(".", 1)[-1], by_name)
    for name in sorted(by_name, key=len, reverse=True):
        if f"'{name}'" in hint:
            return hint.replace(f"'{name}'", f"'{by_name[name]}'")
    return ""


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a TOML or, by its suffix, JSON config file; keys are checked later, with the preset beneath.

    Raises:
        ConfigError: The file cannot be read or parsed.
    """
    try:
        text = read_limited(path, _MAX_CONFIG_BYTES).decode()
        values = json.loads(text) if path.suffix == ".json" else _parse_toml(text)
        refuse_deep(values)
    except RecursionError as error:
        raise ConfigError(f"config file {path} cannot be read: it is nested too deep") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"config file {path} cannot be read: {reason!s:.200}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path} must hold a table")
    return values


def _parse_toml(text: str) -> dict[str, Any]:
    # The reader's memory grows with the square of a key's parts: a megabyte of dots would take them all.
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    return tomllib.loads(text)


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the keys of ``above`` laid over it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = (
            deep_merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
        )
    return merged


_SINCE_0_1: Final[Mapping[str, Any]] = {
    "networks": {"architecture": "infogan", "dropout": 0.0, "conditional": False},
    "objective": {
        "method": "adversarial",
        "adversarial_loss": "bce",
        "information_update": "q_head",
        "fixed_variance": None,
        "lambda_categorical_end": None,
    },
    "optimizer": {"lr_decay_start": 1.0},
    "q_view": None,
    "q_noise": 0.0,
}
"""Keys that version 0.1 did not have yet, with what it did."""


def complete_older(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored config with the keys that were added since, as the version that wrote it behaved."""
    return deep_merge(_SINCE_0_1, values)


def config_digest(config: TrainConfig) -> str:
    """Return the SHA-256 of the config's canonical JSON."""
    canonical = json.dumps(config.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
