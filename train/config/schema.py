"""The training config: one tree of frozen tables that holds every setting of a run.

A key's default is the paper's value (arXiv:1606.03657, appendix C.1, MNIST). Keys of what the paper does not
have (clustering, consolidation) default to the values of preset ``mnist``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.clustering import ClusteringConfig
from infogan_tool.train.config.tables import LengthTable, Table, ViewConfig

NAME_PATTERN: Final = r"^[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?$"
"""A registered name, or ``module:attribute``."""


_Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=200)]
"""The name of a registered object, or ``module:attribute`` of a module that the user has named."""
MIN_SIZE: Final = 8
"""Least height and width of training images."""
MAX_SIZE: Final = 512
"""Greatest height and width of training images."""
Transformation = Literal["shift_x", "shift_y", "scale", "rotation", "slant", "aspect", "stroke_width", "turn"]
"""What :mod:`infogan_tool.train.infogan.transformations` does to images."""


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

    architecture: _Name = "infogan"
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


class TermConfig(Table):
    """A term of the loss of D or G."""

    weight: float = Field(ge=0)
    """Factor of the term. 0: it is not computed."""
    every: int | None = Field(default=None, ge=1, le=10_000)
    """Steps between two computations of the term, which is multiplied by them (arXiv:1912.04958, appendix B).
    None: the term's own, 16 for ``r1``."""


def _to_term(value: object) -> object:
    """Return the table of a weight."""
    if isinstance(value, int | float):
        return {"weight": value}
    if not isinstance(value, dict | TermConfig):
        raise ValueError(f"a term is a weight, or a table of weight and every (not {value!r:.60})")  # noqa: TRY004 - pydantic's
    return value


_Term = Annotated[TermConfig, BeforeValidator(_to_term, json_schema_input_type=float | TermConfig)]


class ObjectiveConfig(Table):
    """The objective: min over G and Q, max over D of V(D, G) - lambda L_I(G, Q)."""

    method: Literal["adversarial", "variational"] = "adversarial"
    """``adversarial``: InfoGAN. ``variational``: a conditional variational autoencoder without D."""
    adversarial_loss: Literal["bce", "least_squares", "hinge"] = "bce"
    """Loss of D and G."""
    information_update: _Name = "q_head"
    """Parameters that L_I updates. ``q_head``: G and the Q head. ``shared``: also the trunk that D and Q
    share, in D's update. ``separate_step``: G, trunk and Q head, in a third update of their own. Or the name
    of a registered scheme."""
    lambda_categorical: float = Field(default=1.0, ge=0)
    """Weight of the categorical codes in L_I. With both weights 0 the model is a plain GAN, whose Q is only
    monitored."""
    lambda_categorical_end: float | None = Field(default=None, ge=0)
    """Value that lambda_categorical reaches linearly at the end of adversarial training. None: constant."""
    lambda_continuous: float = Field(default=0.1, ge=0)
    """Weight of the continuous codes in L_I."""
    lambda_continuous_end: float | None = Field(default=None, ge=0)
    """Value that lambda_continuous reaches linearly at the end of adversarial training. None: constant."""
    lambda_ramp_start: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of adversarial training after which the lambdas begin to change to their last values."""
    free_codes_start: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of adversarial training before which lambda of the free continuous codes is 0: of those that
    are neither periodic nor stand for a transformation. Periodic codes then find first what goes round."""
    axis_alignments: int = Field(default=0, ge=0, le=10_000)
    """How many times, evenly spaced in adversarial training, continuous codes are rotated so that each has
    one independent effect on the image: those that are not periodic and stand for no transformation. The one
    that changes images most comes first, and the greatest coarse moment of each one's effect is positive."""
    terms: dict[_Name, _Term] = Field(default_factory=dict)
    """Further terms of the loss, by name: a weight, or a table of ``weight`` and ``every``. ``r1``: the
    gradient penalty of D on real images (arXiv:1801.04406). Others are registered."""
    hessian_penalty: float = Field(default=0.0, ge=0)
    """Weight of a penalty that gives each continuous code one independent effect: G's mixed second
    derivatives by pairs of codes (arXiv:2008.10599), relative to the first ones. 0, or one code: none."""
    hessian_latents: int = Field(default=16, ge=2, le=4096)
    """Latents per step of that penalty, at least one for each process; G generates four images of each."""
    direction_penalty: float = Field(default=0.0, ge=0)
    """Weight of a penalty that gives each continuous code one direction: what it does to the coarse moments
    of an image (mass, position, shape) is to be the same in all categories. 0: none."""
    transformations: tuple[Transformation, ...] = ()
    """Transformations that c1, c2 and so on stand for, learned from transformed images: ``shift_x`` (to
    the right), ``shift_y`` (up), ``scale``, ``rotation`` (clockwise), ``slant`` (to the right), ``aspect``
    (wider), ``stroke_width``, and ``turn`` (clockwise, all the way round: a periodic code). Codes beyond them
    are free. Needs a shared Q and ``information_update`` other than ``q_head``."""
    transformations_weight: float = Field(default=1.0, ge=0)
    """Weight of the loss by which Q learns ``transformations``. 0: it does not."""
    log_variance_range: tuple[float, float] = (-4.0, 2.0)
    """Lower and upper bound of log Var Q(c|x). Without a lower bound the Gaussian likelihood is unbounded."""
    fixed_variance: float | None = Field(default=None, gt=0)
    """Var Q(c|x) if it is not learned. At 0.5, -log Q(c|x) is the squared error plus a constant. None: it is
    learned."""

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        low, high = self.log_variance_range
        if not low < high:
            raise ValueError(
                f"log_variance_range must be [low, high] with low below high, not [{low}, {high}]"
            )
        if twice := [name for name, count in Counter(self.transformations).items() if count > 1]:
            raise ValueError(f"transformations has {twice[0]} twice: a transformation has one code")
        return self

    @property
    def variance(self) -> tuple[float, float] | float:
        """Bounds of the log-variance, or the fixed variance."""
        return self.log_variance_range if self.fixed_variance is None else self.fixed_variance

    @property
    def turn_column(self) -> int | None:
        """Position of the code for ``turn`` among the continuous codes; None: there is none."""
        names = self.transformations if self.transformations_weight else ()
        return names.index("turn") if "turn" in names else None


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
        return self.objective.hessian_penalty > 0 and self.latent.continuous > 1 and not self.is_variational

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
