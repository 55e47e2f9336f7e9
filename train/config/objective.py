"""The table of the objective: losses, their weights, and when they count."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from infogan_tool.train.config.tables import Name, Table

Transformation = Literal["shift_x", "shift_y", "scale", "rotation", "slant", "aspect", "stroke_width", "turn"]
"""What :mod:`infogan_tool.train.infogan.transformations` does to images."""


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


class RestartConfig(Table):
    """Restarts of adversarial training where continuous codes are mixed.

    After the first part of it, the mean of the Hessian penalty over the second half of that part decides.
    The whole length stays the same: what comes after restarts is shorter.
    """

    above: float = Field(default=0.2, gt=0)
    """Mean of the Hessian penalty, before its weight, above which codes are taken to be mixed."""
    after: float = Field(default=0.06, gt=0, lt=1)
    """Length of a start, as a fraction of adversarial training."""
    times: int = Field(default=5, ge=1, le=20)
    """Greatest number of restarts, each with other weights of G, D and Q; k1 from clustering stays. Where
    all are above, that with the least penalty is continued."""

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if self.after * (self.times + 1) >= 1:
            raise ValueError(f"{self.times} restarts after {self.after} leave nothing of the training")
        return self


class ObjectiveConfig(Table):
    """The objective: min over G and Q, max over D of V(D, G) - lambda L_I(G, Q)."""

    method: Literal["adversarial", "variational"] = "adversarial"
    """``adversarial``: InfoGAN. ``variational``: a conditional variational autoencoder without D."""
    adversarial_loss: Literal["bce", "least_squares", "hinge"] = "bce"
    """Loss of D and G."""
    information_update: Name = "q_head"
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
    terms: dict[Name, _Term] = Field(default_factory=dict)
    """Further terms of the loss, by name: a weight, or a table of ``weight`` and ``every``. ``r1``: the
    gradient penalty of D on real images (arXiv:1801.04406). Others are registered."""
    hessian_penalty: float = Field(default=0.0, ge=0)
    """Weight of a penalty that gives each continuous code one independent effect: G's mixed second
    derivatives by pairs of codes (arXiv:2008.10599), relative to the first ones. 0, or one code: none."""
    initial_hessian_penalty: float = Field(default=0.0, ge=0)
    """Weight that is added to ``hessian_penalty`` when adversarial training begins. It falls linearly to 0
    over the first tenth: once G has mixed two codes that go round, no small change separates them."""
    restart: RestartConfig | None = None
    """When adversarial training is restarted. None: never. Needs ``hessian_penalty``."""
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
