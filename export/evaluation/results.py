"""The report of an evaluation: typed, nested, JSON-ready. docs/reference/evaluation.md lists each row.

What could not be measured is absent from the JSON, not zero: rows that need labels where there are none, rows
about codes of a kind that the bundle does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.classifier import ClassifierInfo
    from infogan_tool.export.evaluation.metrics.clustering import Clustering
    from infogan_tool.export.evaluation.metrics.information import CodeInformation
    from infogan_tool.export.evaluation.metrics.purity import Purity
    from infogan_tool.export.evaluation.metrics.round_trip import CategoricalRecovery, ContinuousRecovery
    from infogan_tool.export.evaluation.styles import StyleTable

__all__ = [
    "RESULTS_SCHEMA",
    "Calibration",
    "Confidence",
    "DataInfo",
    "Distances",
    "EncoderResults",
    "GeneratorResults",
    "InformationResults",
    "Results",
    "RoundTripResults",
]

RESULTS_SCHEMA: Final = 1
_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class DataInfo:
    """The real images."""

    name: str
    """Name of the data set; never a path."""
    train_count: int
    """Training images: categories are matched to labels on them."""
    scored_count: int
    """Images that scores are of."""
    scored_on: str
    """``"test"``; ``"train"`` where the data set has no test images."""
    label_names: tuple[str, ...] | None
    """Names of the labels; None without labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidence:
    """How sure the encoder is of real images; needs no labels."""

    mean: float
    """Mean probability of the most probable category."""
    below_half: float
    """Share of images below 0.5."""
    below_nine_tenths: float
    """Share of images below 0.9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Whether that probability is the share of right answers."""

    ece: float
    """Expected calibration error over 15 bins, 0 to 1."""
    temperature: float | None
    """What minimises -log q of the matched category on *training* images; above 1: the encoder is too sure.
    For information: the exported probabilities are not changed."""
    ece_tempered: float | None
    """The error after that temperature."""


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
    """Two sets of images in the classifier's features."""

    frechet: float
    """Frechet distance, at least 0."""
    kernel: float
    """Kernel distance (squared MMD, unbiased); around 0 for sets of one distribution."""
    density: float
    """About 1 for sets of one distribution."""
    coverage: float
    """0 to 1; 0.97 for sets of one distribution and size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorResults:
    """What G draws, as the classifier sees it."""

    purity: Mapping[str, Purity]
    """By categorical code."""
    distances: Distances
    """Generated against real images."""
    real_vs_real: Distances | None
    """Training images in place of the generated ones: what a perfect generator would have. None where the
    real images are training images themselves."""
    generated_count: int
    """Generated images in ``distances``."""
    real_count: int
    """Real images in both."""
    real_vs_real_count: int
    """Training images in ``real_vs_real``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Everything that an evaluation found."""

    schema_version: int
    """:data:`RESULTS_SCHEMA`."""
    bundle_id: str
    """Of the bundle measured."""
    samples: int
    """Generated images, latents from the prior."""
    seed: int
    """Of those latents."""
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
    classifier: ClassifierInfo | None
    """The independent classifier; needs labels."""
    generator: GeneratorResults | None
    """Needs the classifier."""

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
