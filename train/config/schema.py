"""The training config: one tree of frozen tables that holds every setting of a run.

A key's default is the paper's value (arXiv:1606.03657, appendix C.1, MNIST). Keys of what the paper does not
have (clustering, consolidation) default to the values of preset ``mnist``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.clustering import ClusteringConfig
from infogan_tool.train.config.objective import ObjectiveConfig
from infogan_tool.train.config.tables import LengthTable, Name, Table, ViewConfig

MIN_SIZE: Final = 8
"""Least height and width of training images."""
MAX_SIZE: Final = 512
"""Greatest height and width of training images."""


class DataConfig(Table):
    """The training images."""

    source: str = Field(default="mnist", min_length=1)
    """A built-in data set such as ``mnist``, or a folder of images or of IDX files."""
    size: int | None = Field(default=None, ge=MIN_SIZE, le=MAX_SIZE)
    """Height and width in pixels that images are resized to. None: as in the data."""
    channels: Literal[1, 3] | None = None
    """1 (grey) or 3 (colour). None: as in the data."""


class NetworkConfig(Table):
    """Architecture and widths of the networks."""

    architecture: Name = "infogan"
    """``infogan``: the paper's MNIST networks. ``dcgan``: strided convolutions down to the smallest map, with
    the heads on it. ``upsample``: G upsamples by nearest neighbour. ``residual``: residual blocks
    (arXiv:1512.03385). ``mlp``: fully connected. Or the name of a registered one, or ``module:attribute``."""
    base_width: int = Field(default=64, ge=1, le=4096)
    """Channels of D's first convolution. They double at each halving of the map; G mirrors D."""
    full_width: int = Field(default=1024, ge=1, le=16384)
    """Channels of the full-map convolution (``infogan``) or of each hidden layer (``mlp``)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping a channel after each halving of D, and of a separate Q."""
    q: Literal["shared", "separate"] = "shared"
    """``shared``: Q is a head on D's trunk, as in the paper; but k1 has its own encoder where ``clustering``
    trains it. ``separate``: Q has its own encoders."""
    q_width: int = Field(default=128, ge=1, le=16384)
    """Hidden channels of a shared Q's head; features of a separate Q's style encoder."""
    q_features: int = Field(default=256, ge=1, le=16384)
    """Features of k1's own encoder."""
    conditional: bool = False
    """Whether D is conditioned on k1: on the code of a generated image, and on Q's pseudo-label of a real
    one; and with transformation ``turn`` on the angle in the same way. Needs ``clustering``. No effect
    without a categorical code, or without a D."""
    leaky_relu_slope: float = Field(default=0.1, ge=0, lt=1)
    """Slope of LeakyReLU for negative inputs, in D and Q."""
    spectral_norm: bool = False
    """Whether each weight of D is divided by its greatest singular value (arXiv:1802.05957). The package's
    D then has no BatchNorm."""
    output: Literal["sigmoid", "tanh"] = "sigmoid"
    """Last activation of G. It sets the range of images: [0, 1] or [-1, 1]."""
    mean_start: bool = False
    """Whether G's images begin near the mean colour of the real ones, given by the bias of its last layer, in
    place of the middle of their range. From there G comes faster to objects on an even background."""


class OptimizerConfig(Table):
    """Adam, and the exponential moving average of G's weights."""

    d_lr: float = Field(default=2e-4, gt=0)
    """Learning rate of D (trunk and D head)."""
    g_lr: float = Field(default=1e-3, gt=0)
    """Learning rate of G, of Q, and of the separate update by L_I."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Decay rate of the running mean of gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay rate of the running mean of squared gradients."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of the exponential moving average of G's weights (arXiv:1806.04498), less in the first
    steps. Images are generated and exported from the average. 0: no average."""
    lr_decay_start: float = Field(default=1.0, ge=0, le=1)
    """Fraction of adversarial training after which the learning rates fall linearly to 0. 1: constant."""


class ConsolidationConfig(Table):
    """Training of Q on images of the EMA of G, both in evaluation mode, as they are exported."""

    steps: int = Field(default=2000, ge=1)
    """Number of steps, each of ``schedule.batch_size`` images."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak of the one-cycle learning rate."""


class ScheduleConfig(LengthTable):
    """Length of adversarial training, and intervals of what is written in every stage."""

    default_length: ClassVar = {"epochs": 100}

    batch_size: int = Field(default=100, ge=2)
    """Real images per step, and as many generated ones; of all processes together."""
    log_every: int = Field(default=50, ge=1)
    """Steps per line of metrics.jsonl."""
    sample_every: int = Field(default=500, ge=1)
    """Steps per sample sheet."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps per checkpoint. Each replaces the one before."""
    keep_every: int = Field(default=5000, ge=1)
    """Steps per checkpoint that is kept, in the stage that trains G."""


_PAPER_LATENT: Final = {"noise": 62, "noise_prior": "uniform", "categorical": [10], "continuous": 2}


def _to_latent_spec(value: object) -> object:
    """Return a table's spec; keys that it does not have are the paper's."""
    return LatentSpec.from_dict(_PAPER_LATENT | value) if isinstance(value, dict) else value


class TrainConfig(Table):
    """Everything that decides the numbers of a run, apart from device and library versions."""

    preset: str = "paper"
    """Name of the preset that the config is based on."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of weights, order of data, latents and augmentation."""
    latent: Annotated[LatentSpec, BeforeValidator(_to_latent_spec)] = Field(
        default_factory=lambda: LatentSpec.from_dict(_PAPER_LATENT)
    )
    """Noise and codes."""
    data: DataConfig = DataConfig()
    """Images."""
    networks: NetworkConfig = NetworkConfig()
    """Architecture and widths."""
    objective: ObjectiveConfig = ObjectiveConfig()
    """Losses and their weights."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Adam and the EMA of G."""
    augment: ViewConfig = ViewConfig()
    """Differentiable augmentation (arXiv:2006.10738) of D's inputs, real and generated images; and of Q's,
    unless ``q_view`` is given."""
    q_view: ViewConfig | None = None
    """Augmentation of the inputs, generated images, of Q's own encoders in adversarial training. None: as for
    D."""
    q_noise: float = Field(default=0.0, ge=0, le=1)
    """Greatest standard deviation, in the images' units, of Gaussian noise on generated images: the inputs of
    Q's own encoders in adversarial training, of all of Q in consolidation; sampled for each image, uniformly
    from 0."""
    initial_blur: float = Field(default=0.0, ge=0, le=0.5)
    """Standard deviation, in parts of the image's width, of a Gaussian blur of the images that D and its
    trunk see when adversarial training begins. It falls linearly to 0 over the first tenth. It hides the fine
    patterns by which G would meet L_I before its images resemble real ones (arXiv:2106.12423)."""
    clustering: ClusteringConfig | None = None
    """Training of Q(k1|x) before adversarial training. None: none, as in the paper."""
    consolidation: ConsolidationConfig | None = None
    """Training of Q after adversarial training. None: none."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "fp32"
    """Precision of forward and backward passes; weights and updates are fp32. ``auto``: bf16 where the device
    is faster in it, fp32 elsewhere."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Length and intervals."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        networks, augment, separate = self.networks, self.augment, self.networks.q == "separate"
        update, turn = self.objective.information_update, self.objective.turn_column
        only_k1 = self.uses_clustering and self.latent.code_names == ("k1",)
        own_encoder = separate or self.clustering is not None
        requirements = (
            (self.q_view is None or own_encoder, "q_view needs networks.q = 'separate' or clustering"),
            (not self.q_noise or own_encoder, "q_noise needs networks.q = 'separate' or clustering"),
            (
                update not in {"shared", "separate_step"} or not separate,
                f"objective.information_update = '{update}' needs networks.q = 'shared'",
            ),
            (
                update not in {"shared", "separate_step"} or not only_k1,
                f"objective.information_update = '{update}' needs a code besides k1, whose Q is frozen",
            ),
            (not networks.conditional or self.clustering, "networks.conditional needs clustering"),
            (
                not self.is_variational or (self.uses_clustering and len(self.latent.categorical) == 1),
                "objective.method = 'variational' needs one categorical code and clustering",
            ),
            (
                not self.is_variational or (self.latent.noise and self.latent.noise_prior == "normal"),
                "objective.method = 'variational' needs noise, with latent.noise_prior = 'normal'",
            ),
            (
                len(self.objective.transformations) <= self.latent.continuous,
                f"objective.transformations has more names than latent.continuous = {self.latent.continuous}",
            ),
            (
                turn in (None, *self.latent.periodic_columns),
                f"transformation 'turn' needs a periodic code: latent.periodic = ['c{(turn or 0) + 1}']",
            ),
            (
                not self.fixed_codes or set(self.latent.periodic_columns) <= {turn},
                "objective.transformations needs latent.periodic to have no code but that of 'turn'",
            ),
            (
                self.condition_column is None or not (augment.affine or augment.pose or augment.mirror),
                "transformation 'turn' with a conditional D needs augment.affine, pose and mirror of 0",
            ),
            (
                self.objective.restart is None or self.penalises_hessian,
                "objective.restart needs objective.hessian_penalty and two continuous codes",
            ),
            (
                not self.is_variational or not self.initial_blur,
                "initial_blur needs objective.method = 'adversarial'",
            ),
            (
                not self.is_variational or not self.latent.periodic,
                "latent.periodic needs objective.method = 'adversarial'",
            ),
            (
                not self.fixed_codes or not (separate or update == "q_head"),
                "objective.transformations needs networks.q = 'shared' and no information_update = 'q_head'",
            ),
            (
                not self.is_variational or not self.objective.transformations,
                "objective.transformations needs objective.method = 'adversarial'",
            ),
            (
                self.consolidation is None or not only_k1,
                "consolidation has nothing to train where k1, whose Q is frozen, is the only code",
            ),
        )
        for met, message in requirements:
            if not met:
                raise ValueError(message)
        return self

    @property
    def uses_clustering(self) -> bool:
        """Whether Q(k1|x) is trained before adversarial training and frozen in it."""
        return self.clustering is not None and bool(self.latent.categorical)

    @property
    def uses_information(self) -> bool:
        """Whether L_I of a code that there is has a weight, from the start or later."""
        objective = self.objective
        categorical = (objective.lambda_categorical, objective.lambda_categorical_end)
        continuous = (objective.lambda_continuous, objective.lambda_continuous_end)
        return any(
            (
                *(categorical if self.latent.categorical else ()),
                *(continuous if self.latent.continuous else ()),
            )
        )

    @property
    def axis_alignments(self) -> int:
        """Number of rotations of the continuous codes in adversarial training."""
        return self.objective.axis_alignments if self.free_codes else 0

    @property
    def fixed_codes(self) -> int:
        """Number of the first continuous codes that stand for a transformation."""
        return len(self.objective.transformations) if self.objective.transformations_weight else 0

    @property
    def penalises_hessian(self) -> bool:
        """Whether G's loss has the Hessian penalty: it needs two continuous codes."""
        weights = self.objective.hessian_penalty, self.objective.initial_hessian_penalty
        return any(weights) and self.latent.continuous > 1 and not self.is_variational

    @property
    def free_codes(self) -> list[int]:
        """Positions of the continuous codes that stand for no transformation and are not periodic."""
        return [
            code
            for code in range(self.fixed_codes, self.latent.continuous)
            if code not in self.latent.periodic_columns
        ]

    @property
    def num_conditions(self) -> int:
        """Number of categories that D is conditioned on; 0: D is not conditional."""
        conditional = self.networks.conditional and self.uses_clustering and not self.is_variational
        return self.latent.categorical[0] if conditional else 0

    @property
    def condition_column(self) -> int | None:
        """Position of the continuous code whose angle a conditional D is told too: that of ``turn``."""
        return self.objective.turn_column if self.num_conditions else None

    @property
    def is_variational(self) -> bool:
        """Whether G is trained as the decoder of an autoencoder, without D."""
        return self.objective.method == "variational"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values that :func:`infogan_tool.train.config.files.validate_config` reads."""
        return self.model_dump(mode="json")


def config_digest(config: TrainConfig) -> str:
    """Return the SHA-256 of the config's canonical JSON."""
    canonical = json.dumps(config.to_dict(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
