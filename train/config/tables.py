"""The tables of a training config: each key with its bounds, and what it means in its docstring."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "ClusteringConfig",
    "ConsolidationConfig",
    "ContrastiveConfig",
    "DataConfig",
    "GroupingConfig",
    "NeighboursConfig",
    "NetworkConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "RefinementConfig",
    "ScheduleConfig",
    "Table",
    "ViewConfig",
]


class Table(BaseModel):
    """A part of a config: frozen, of known keys, of finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DataConfig(Table):
    """What is trained on."""

    source: str = Field(min_length=1)
    """A built-in name such as ``mnist``, or a folder of images or IDX files."""
    size: int | None = Field(ge=8, le=512)
    """Height and width in pixels that images are brought to; None: as the data are."""
    channels: Literal[1, 3] | None
    """1 (grey) or 3 (colour); None: as the data are."""


class NetworkConfig(Table):
    """Architecture (train/infogan/architectures.py) and its widths, for any image size."""

    architecture: Literal["infogan", "dcgan", "upsample", "mlp"]
    """``infogan``: the paper's MNIST networks. ``dcgan``: halvings alone, heads on the last map.
    ``upsample``: G enlarges by nearest neighbours. ``mlp``: fully connected."""
    base_width: int = Field(ge=1, le=4096)
    """Channels of D's first convolution; each further halving of the map doubles them. G mirrors it."""
    full_width: int = Field(ge=1, le=16384)
    """Channels of the full-map convolution (``infogan``), or of each hidden layer (``mlp``)."""
    dropout: float = Field(ge=0, lt=1)
    """Share of the channels that is dropped after each halving of D, and of a separate Q."""
    q: Literal["shared", "separate"]
    """``shared``: Q is a head on D's trunk, as in the paper. ``separate``: Q has encoders of its own."""
    q_width: int = Field(ge=1, le=16384)
    """Hidden channels of a shared Q's head; features of a separate Q's encoder of styles."""
    q_features: int = Field(ge=1, le=16384)
    """Features of a separate Q's encoder of the first categorical code."""
    conditional: bool
    """Whether D judges an image and its category together: k1 of a generated image, and of a real one
    what
    Q, found beforehand, reads in it. Without a categorical code, or a D, it does nothing."""
    leak: float = Field(ge=0, lt=1)
    """Negative slope of LeakyReLU in D and Q."""
    output: Literal["sigmoid", "tanh"]
    """Last activation of G, which fixes the image's range: [0, 1] or [-1, 1]."""


class ObjectiveConfig(Table):
    """min over G and Q, max over D of V(D, G) - lambda L_I(G, Q); see docs/explanation/objective.md."""

    method: Literal["adversarial", "variational"]
    """``variational``: in D's place, a conditional variational autoencoder (docs/explanation/systems.md)."""
    adversarial_loss: Literal["bce", "least_squares", "hinge"]
    """What D and G play for."""
    information_update: Literal["q_head", "shared", "separate_step"]
    """What L_I moves: G and Q's ``head``; the ``trunk`` and Q in D's update, and G in its own; or G, trunk
    and head in a third update ``apart`` from the other two."""
    lambda_categorical: float = Field(ge=0)
    """Weight of the categorical codes' part of L_I. Both 0: a plain GAN, and Q only looks on."""
    lambda_categorical_end: float | None = Field(ge=0)
    """Where lambda_categorical goes in a straight line over the game; None: it stays."""
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


class OptimizerConfig(Table):
    """Adam for D and for G and Q."""

    d_lr: float = Field(gt=0)
    """Learning rate of D (trunk and D head)."""
    g_lr: float = Field(gt=0)
    """Learning rate of G and of the Q head, and of L_I's own update where it has one."""
    beta1: float = Field(ge=0, lt=1)
    """Decay of the mean of gradients."""
    beta2: float = Field(ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    ema_decay: float = Field(ge=0, lt=1)
    """Share of G's averaged weights that stays at each step, less in the first ones; the average is what
    draws. 0: G itself draws."""
    lr_decay_start: float = Field(ge=0, le=1)
    """Share of the game after which the learning rates fall, in a straight line to 0. 1: they stay."""


class ViewConfig(Table):
    """How strongly a random view of an image differs from it; 0 leaves a kind of change out."""

    affine: float = Field(ge=0, le=4)
    """1: rotation +-23 degrees, scale +-25 %, shear +-0.4, aspect +-20 %, shift +-15 %."""
    elastic: float = Field(ge=0, le=4)
    """1: 5 x 5 knots displaced by a twentieth of the image (standard deviation), smoothly between."""
    stroke: float = Field(ge=0, le=1)
    """1: a quarter of the images each go up to their 3 x 3 maximum, minimum or mean; a quarter stay."""


class ContrastiveConfig(Table):
    """Two views of an image find each other."""

    epochs: float = Field(ge=0)
    """Passes over the data."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""
    temperature: float = Field(gt=0)
    """Of the similarity's softmax."""
    view: ViewConfig
    """Strong: it says what does not matter."""


class NeighboursConfig(Table):
    """The images nearest to each."""

    dimensions: int = Field(ge=1)
    """Principal directions of the features that candidates are looked for on."""
    candidates: int = Field(ge=1, le=1000)
    """How many are compared by deformation."""
    count: int = Field(ge=1, le=1000)
    """How many of them are neighbours."""
    displacement: int = Field(ge=0, le=8)
    """Pixels, across plus down, that a part of a candidate may be off."""


class GroupingConfig(Table):
    """The graph of neighbours is cut into as many groups as the code has categories."""

    directions: int = Field(ge=2, le=1000)
    """Width of the graph's spectral embedding."""
    clusters: int = Field(ge=2, le=2000)
    """Small clusters that are merged into groups; fewer where there are few images."""
    tries: int = Field(ge=1, le=100)
    """Cuts from different small clusters; the one of the greatest information stays."""


class RefinementConfig(Table):
    """Q learns the groups, and to say the same, and as much as it can, of two views of an image."""

    epochs: float = Field(ge=0)
    """Passes over the data."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""
    ema_decay: float = Field(ge=0, lt=1)
    """Share of the averaged weights that stays at each step."""
    grouping_weight: float = Field(ge=0)
    """Weight of the cross-entropy with the groups."""
    view: ViewConfig
    """Weak: different things must not be pulled together."""
    second_view: ViewConfig
    """Weaker."""


class ClusteringConfig(Table):
    """How Q(k1|x) is found on real images before the adversarial game, in which it then stands still."""

    batch_size: int = Field(ge=2)
    """Images per step of pretext and refinement."""
    contrastive: ContrastiveConfig
    """First stage."""
    neighbours: NeighboursConfig
    """Second stage."""
    grouping: GroupingConfig
    """Third stage."""
    refinement: RefinementConfig
    """Fourth stage."""


class ScheduleConfig(Table):
    """How long, and how often something is written."""

    batch_size: int = Field(ge=2)
    """Real images per step, and as many generated ones."""
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


class ConsolidationConfig(Table):
    """Q learns to read what the averaged G draws, in the form in which both are exported."""

    steps: int = Field(ge=1)
    """Number of steps, of the schedule's batch size."""
    learning_rate: float = Field(gt=0)
    """Greatest rate of the cycle."""
