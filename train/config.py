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

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from infogan_tool.runtime.errors import ConfigError, did_you_mean
from infogan_tool.runtime.fields import refuse_deep
from infogan_tool.runtime.files import read_limited
from infogan_tool.runtime.latent import LatentSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = [
    "ConsolidationConfig",
    "DataConfig",
    "GroupingConfig",
    "NeighboursConfig",
    "NetworkConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PosteriorConfig",
    "PretextConfig",
    "RefinementConfig",
    "ScheduleConfig",
    "TrainConfig",
    "ViewConfig",
    "complete_older",
    "config_digest",
    "lay_over",
    "read_config_file",
    "validate_config",
]

_MAX_CONFIG_BYTES = 1_000_000
_MAX_DOTS = 100
_MAX_TOLD = 20


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DataConfig(_Table):
    """What is trained on."""

    source: str = Field(min_length=1)
    """A built-in name such as ``mnist``, or a folder of pictures or IDX files."""
    size: int | None = Field(ge=8, le=512)
    """Height and width in pixels that pictures are brought to; None: as the data are."""
    channels: Literal[1, 3] | None
    """1 (grey) or 3 (colour); None: as the data are."""


class NetworkConfig(_Table):
    """Architecture (train/architectures.py) and its widths, for any picture size."""

    architecture: Literal["infogan", "dcgan", "upsample", "mlp"]
    """``infogan``: the paper's MNIST networks. ``dcgan``: halvings alone, heads on the last map.
    ``upsample``: G enlarges by nearest neighbours. ``mlp``: fully connected."""
    base_width: int = Field(ge=1, le=4096)
    """Channels of D's first convolution; each further halving of the map doubles them. G mirrors it."""
    full_width: int = Field(ge=1, le=16384)
    """Channels of the full-map convolution (``infogan``), or of each hidden layer (``mlp``)."""
    dropout: float = Field(ge=0, lt=1)
    """Share of the channels that is dropped after each halving of D, and of a separate Q."""
    recognition: Literal["shared", "separate"]
    """``shared``: Q is a head on D's trunk, as in the paper. ``separate``: Q has encoders of its own."""
    q_width: int = Field(ge=1, le=16384)
    """Hidden channels of a shared Q's head; features of a separate Q's encoder of styles."""
    q_features: int = Field(ge=1, le=16384)
    """Features of a separate Q's encoder of the first categorical code."""
    leak: float = Field(ge=0, lt=1)
    """Negative slope of LeakyReLU in D and Q."""
    output: Literal["sigmoid", "tanh"]
    """Last activation of G, which fixes the picture's range: [0, 1] or [-1, 1]."""


class ObjectiveConfig(_Table):
    """min over G and Q, max over D of V(D, G) - lambda L_I(G, Q); see docs/objective.md."""

    game: Literal["adversarial", "variational"]
    """``variational``: in D's place, a conditional variational autoencoder (docs/systems.md)."""
    adversarial_loss: Literal["bce", "least_squares", "hinge"]
    """What D and G play for."""
    updates: Literal["head", "trunk", "apart"]
    """What L_I moves: G and Q's ``head``; the ``trunk`` and Q in D's update, and G in its own; or G, trunk
    and head in a third update ``apart`` from the other two."""
    lambda_categorical: float = Field(ge=0)
    """Weight of the categorical codes' part of L_I. Both 0: a plain GAN, and Q only looks on."""
    lambda_continuous: float = Field(ge=0)
    """Weight of the continuous codes' part of L_I."""
    log_variance: tuple[float, float]
    """Bounds of log Var Q(c|x). Without a lower one the Gaussian likelihood has no ceiling."""
    fixed_variance: float | None = Field(gt=0)
    """Var Q(c|x) where it is not learned: at 0.5, -log Q(c|x) is the squared error but for a constant."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        low, high = self.log_variance
        if not low < high:
            raise ValueError(f"log_variance must be [low, high] with low below high, not [{low}, {high}]")
        return self

    @property
    def variance(self) -> tuple[float, float] | float:
        """Bounds of the log-variance, or the fixed variance."""
        return self.log_variance if self.fixed_variance is None else self.fixed_variance

    @property
    def informs(self) -> bool:
        """Whether L_I has any weight."""
        return self.lambda_categorical > 0 or self.lambda_continuous > 0


class OptimizerConfig(_Table):
    """Adam for D and for G and Q."""

    d_lr: float = Field(gt=0)
    """Learning rate of D (trunk and D head)."""
    g_lr: float = Field(gt=0)
    """Learning rate of G and of the Q head, and of L_I's own update where it has one."""
    beta1: float = Field(ge=0, lt=1)
    """Decay of the mean of gradients."""
    beta2: float = Field(ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    g_average_decay: float = Field(ge=0, lt=1)
    """Share of G's averaged weights that stays at each step; the average is what draws. 0: G itself draws."""


class ViewConfig(_Table):
    """How strongly a random view of a picture differs from it; 0 leaves a kind of change out."""

    affine: float = Field(ge=0, le=4)
    """1: rotation +-23 degrees, scale +-25 %, shear +-0.4, aspect +-20 %, shift +-15 %."""
    elastic: float = Field(ge=0, le=4)
    """1: 5 x 5 knots displaced by a twentieth of the picture (standard deviation), smoothly between."""
    stroke: float = Field(ge=0, le=1)
    """1: a quarter of the pictures each go up to their 3 x 3 maximum, minimum or mean; a quarter stay."""


class PretextConfig(_Table):
    """Two views of a picture find each other."""

    epochs: float = Field(ge=0)
    """Passes over the data."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""
    temperature: float = Field(gt=0)
    """Of the similarity's softmax."""
    view: ViewConfig
    """Strong: it says what does not matter."""


class NeighboursConfig(_Table):
    """The pictures nearest to each."""

    dimensions: int = Field(ge=1)
    """Principal directions of the features that candidates are looked for on."""
    candidates: int = Field(ge=1, le=1000)
    """How many are compared by deformation."""
    count: int = Field(ge=1, le=1000)
    """How many of them are neighbours."""
    displacement: int = Field(ge=0, le=8)
    """Pixels, across plus down, that a part of a candidate may be off."""


class GroupingConfig(_Table):
    """The graph of neighbours is cut into as many groups as the code has categories."""

    directions: int = Field(ge=2, le=1000)
    """Width of the graph's spectral embedding."""
    clusters: int = Field(ge=2, le=2000)
    """Small clusters that are merged into groups; fewer where there are few pictures."""
    tries: int = Field(ge=1, le=100)
    """Cuts from different small clusters; the one of the greatest information stays."""


class RefinementConfig(_Table):
    """Q learns the groups, and to say the same, and as much as it can, of two views of a picture."""

    epochs: float = Field(ge=0)
    """Passes over the data."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""
    average_decay: float = Field(ge=0, lt=1)
    """Share of the averaged weights that stays at each step."""
    grouping_weight: float = Field(ge=0)
    """Weight of the cross-entropy with the groups."""
    view: ViewConfig
    """Weak: different things must not be pulled together."""
    second_view: ViewConfig
    """Weaker."""


class PosteriorConfig(_Table):
    """How Q(k1|x) is found on real pictures before the adversarial game, in which it then stands still."""

    batch_size: int = Field(ge=2)
    """Pictures per step of pretext and refinement."""
    pretext: PretextConfig
    """First stage."""
    neighbours: NeighboursConfig
    """Second stage."""
    grouping: GroupingConfig
    """Third stage."""
    refinement: RefinementConfig
    """Fourth stage."""


class ScheduleConfig(_Table):
    """How long, and how often something is written."""

    batch_size: int = Field(ge=2)
    """Real pictures per step, and as many generated ones."""
    epochs: int = Field(ge=1)
    """Passes over the data; a last partial batch is left out of each."""
    steps: int | None = Field(ge=1)
    """Number of steps in place of ``epochs``; None: ``epochs`` counts."""
    log_every: int = Field(ge=1)
    """Steps per line of metrics.jsonl."""
    sample_every: int = Field(ge=1)
    """Epochs per sample sheet."""
    checkpoint_every: int = Field(ge=1)
    """Epochs per checkpoint; the last one replaces the one before."""
    keep_every: int = Field(ge=1)
    """Epochs per checkpoint that stays."""


class ConsolidationConfig(_Table):
    """Q learns to read what the averaged G draws, in the form in which both are exported."""

    steps: int = Field(ge=1)
    """Number of steps, of the schedule's batch size."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""


def _as_latent_spec(value: object) -> object:
    return value if isinstance(value, LatentSpec) else LatentSpec.from_dict(value)


class TrainConfig(_Table):
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
    """What happens to every picture, real or generated, before D and Q see it."""
    posterior: PosteriorConfig | None
    """How Q(k1|x) is found beforehand; None: in the adversarial game alone, as in the paper."""
    consolidation: ConsolidationConfig | None
    """How Q learns on after the game; None: it does not."""
    precision: Literal["auto", "fp32", "bf16"]
    """Of forward and backward passes; weights and updates are fp32. ``auto``: bf16 where it is fast."""
    schedule: ScheduleConfig
    """Length and intervals."""

    @model_validator(mode="after")
    def _posterior_needs_its_own_encoder(self) -> Self:
        if self.posterior is not None and self.networks.recognition != "separate":
            raise ValueError("a posterior found beforehand needs networks.recognition = 'separate'")
        return self

    @model_validator(mode="after")
    def _updates_of_the_trunk_need_it(self) -> Self:
        if self.objective.updates != "head" and self.networks.recognition != "shared":
            raise ValueError(
                f"objective.updates = '{self.objective.updates}' needs networks.recognition = 'shared'"
            )
        return self

    @model_validator(mode="after")
    def _autoencoder_is_conditional(self) -> Self:
        if self.is_variational and (not self.finds_posterior or len(self.latent.categorical) != 1):
            raise ValueError(
                "a variational autoencoder is given the category: "
                "it needs one categorical code and a posterior"
            )
        if self.is_variational and (not self.latent.noise or self.latent.noise_prior != "normal"):
            raise ValueError("a variational autoencoder needs noise, and noise_prior = 'normal'")
        return self

    @model_validator(mode="after")
    def _consolidation_needs_a_branch_that_learns(self) -> Self:
        if self.consolidation is not None and self.finds_posterior and self.latent.code_names == ("k1",):
            raise ValueError(
                "consolidation has nothing to learn where k1, found beforehand, is the only code"
            )
        return self

    @property
    def finds_posterior(self) -> bool:
        """Whether Q(k1|x) is found before the adversarial game and stands still in it."""
        return self.posterior is not None and bool(self.latent.categorical)

    @property
    def is_variational(self) -> bool:
        """Whether G is trained as the decoder of an autoencoder, without D."""
        return self.objective.game == "variational"

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


def lay_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the keys of ``above`` laid over it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = lay_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


_SINCE_0_1: Final[Mapping[str, Any]] = {
    "networks": {"architecture": "infogan", "dropout": 0.0},
    "objective": {
        "game": "adversarial",
        "adversarial_loss": "bce",
        "updates": "head",
        "fixed_variance": None,
    },
}
"""Keys that version 0.1 did not have yet, with what it did."""


def complete_older(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored config with the keys that were added since, as the version that wrote it behaved."""
    return lay_over(_SINCE_0_1, values)


def config_digest(config: TrainConfig) -> str:
    """Return the SHA-256 of the config's canonical JSON."""
    canonical = json.dumps(config.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
