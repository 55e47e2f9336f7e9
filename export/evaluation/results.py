"""The results of an evaluation: typed, nested, JSON-ready. docs/reference/evaluation.md describes each key.

What could not be measured is absent from the JSON: metrics that need labels where there are none, and
metrics of kinds of codes that the bundle does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.axes import AxesTable
    from infogan_tool.export.evaluation.classifier import ClassifierInfo
    from infogan_tool.export.evaluation.factor_scores import FactorScores
    from infogan_tool.export.evaluation.metrics.clustering import Clustering
    from infogan_tool.export.evaluation.metrics.information import CodeInformation
    from infogan_tool.export.evaluation.metrics.purity import Purity
    from infogan_tool.export.evaluation.metrics.round_trip import CategoricalRecovery, ContinuousRecovery
    from infogan_tool.export.evaluation.real_images import DataInfo
    from infogan_tool.export.evaluation.styles import StyleTable

RESULTS_SCHEMA: Final = 1
_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidence:
    """Confidence of the encoder on real images; needs no labels."""

    mean: float
    """Mean probability of the most probable category."""
    below_half: float
    """Share of images below 0.5."""
    below_nine_tenths: float
    """Share of images below 0.9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Agreement of the confidence with the accuracy."""

    ece: float
    """Expected calibration error over 15 bins, 0 to 1."""
    temperature: float | None
    """Temperature that minimises -log q of the matched category on *training* images; above 1: the encoder is
    overconfident. For information: the exported probabilities are not changed."""
    ece_tempered: float | None
    """The expected calibration error at that temperature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderResults:
    """One categorical code on real images."""

    confidence: Confidence
    """Needs no labels."""
    clustering: Clustering | None
    """Needs labels."""
    calibration: Calibration | None
    """Needs labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InformationResults:
    """L_I on generated images, in nats."""

    codes: Mapping[str, CodeInformation]
    """By code."""
    lower_bound_nats: float
    """Sum over the codes."""
    entropy_nats: float
    """Sum of the prior entropies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundTripResults:
    """Codes recovered from generated images."""

    categorical: Mapping[str, CategoricalRecovery]
    """By categorical code."""
    continuous: Mapping[str, ContinuousRecovery]
    """By continuous code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distances:
    """Comparison of two sets of images in the features of the evaluation classifier."""

    frechet: float
    """Frechet distance, at least 0."""
    kernel: float
    """Kernel distance (squared MMD, unbiased); near 0 for sets of one distribution."""
    density: float
    """Density, about 1 for sets of one distribution."""
    coverage: float
    """Coverage, 0 to 1; 0.97 for sets of one distribution and size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorResults:
    """Generated images, compared with real ones by the evaluation classifier."""

    purity: Mapping[str, Purity]
    """By categorical code."""
    distances: Distances
    """Generated against real images."""
    real_vs_real: Distances | None
    """The real-vs-real baseline: training images in place of generated ones, the values of a perfect
    generator. None where the real images are the training images."""
    generated_count: int
    """Number of generated images in ``distances``."""
    real_count: int
    """Number of real images in both."""
    real_vs_real_count: int
    """Number of training images in ``real_vs_real``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """All results of an evaluation."""

    schema_version: int
    """:data:`RESULTS_SCHEMA`."""
    bundle_id: str
    """Id of the measured bundle."""
    samples: int
    """Number of generated images, with latents from the prior."""
    seed: int
    """Seed of the latents."""
    data: DataInfo
    """The real images."""
    encoder: Mapping[str, EncoderResults]
    """By categorical code."""
    information: InformationResults
    """By code."""
    round_trip: RoundTripResults
    """By code."""
    styles: StyleTable
    """By continuous code."""
    axes: AxesTable
    """Effects of the continuous codes, and the angles between codes and independent effects."""
    factor_scores: FactorScores | None
    """Needs known factors."""
    classifier: ClassifierInfo | None
    """The evaluation classifier; needs labels."""
    generator: GeneratorResults | None
    """Needs the evaluation classifier."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values: six significant digits, without what could not be measured."""
        values = _plain(self)
        assert isinstance(values, dict)
        return values


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(item) for name, item in pairs if item is not None and item != {}}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
