"""The report of an evaluation: typed, nested, JSON-ready. docs/evaluation.md describes it row by row.

What could not be measured is absent from the JSON, not zero: rows that need labels where there are none, rows
about codes of a kind that the bundle does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.clustering import Clustering
    from infogan_tool.export.evaluation.information import CodeInformation
    from infogan_tool.export.evaluation.judge import JudgeRecord
    from infogan_tool.export.evaluation.purity import Purity
    from infogan_tool.export.evaluation.round_trip import CategoricalRecovery, ContinuousRecovery
    from infogan_tool.export.evaluation.styles import StyleTable

__all__ = [
    "REPORT_SCHEMA",
    "Calibration",
    "Confidence",
    "DataRecord",
    "Distances",
    "EncoderReport",
    "GeneratorReport",
    "InformationReport",
    "Report",
    "RoundTripReport",
]

REPORT_SCHEMA: Final = 1
_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """The real pictures."""

    name: str
    """Name of the data set; never a path."""
    train_count: int
    """Training pictures: categories are matched to labels on them."""
    scored_count: int
    """Pictures that scores are of."""
    scored_on: str
    """``"test"``; ``"train"`` where the data set has no test pictures."""
    label_names: tuple[str, ...] | None
    """Names of the labels; None without labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidence:
    """How sure the encoder is of real pictures; needs no labels."""

    mean: float
    """Mean probability of the most probable category."""
    below_half: float
    """Share of pictures below 0.5."""
    below_nine_tenths: float
    """Share of pictures below 0.9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Whether that probability is the share of right answers."""

    ece: float
    """Expected calibration error over 15 bins, 0 to 1."""
    temperature: float | None
    """What minimises -log q of the matched category on *training* pictures; above 1: the encoder is too sure.
    For information: the exported probabilities are not changed."""
    ece_tempered: float | None
    """The error after that temperature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderReport:
    """One categorical code on real pictures."""

    confidence: Confidence
    """Needs no labels."""
    clustering: Clustering | None
    """Needs labels."""
    calibration: Calibration | None
    """Needs labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InformationReport:
    """L_I on generated pictures, in nats."""

    codes: Mapping[str, CodeInformation]
    """By code."""
    lower_bound_nats: float
    """Sum over the codes."""
    entropy_nats: float
    """Sum of the prior entropies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundTripReport:
    """Codes recovered from generated pictures."""

    categorical: Mapping[str, CategoricalRecovery]
    """By categorical code."""
    continuous: Mapping[str, ContinuousRecovery]
    """By continuous code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distances:
    """Two sets of pictures in the judge's features."""

    frechet: float
    """Frechet distance, at least 0."""
    kernel: float
    """Kernel distance (squared MMD, unbiased); around 0 for sets of one distribution."""
    density: float
    """About 1 for sets of one distribution."""
    coverage: float
    """0 to 1; 0.97 for sets of one distribution and size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorReport:
    """What G draws, as the judge sees it."""

    purity: Mapping[str, Purity]
    """By categorical code."""
    distances: Distances
    """Generated against real pictures."""
    floor: Distances | None
    """Training pictures in place of the generated ones: what a perfect generator would have. None where the
    real pictures are training pictures themselves."""
    generated_count: int
    """Generated pictures in ``distances``."""
    real_count: int
    """Real pictures in both."""
    floor_count: int
    """Training pictures in ``floor``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that an evaluation found."""

    schema_version: int
    """:data:`REPORT_SCHEMA`."""
    bundle_id: str
    """Of the bundle measured."""
    samples: int
    """Generated pictures, latents from the prior."""
    seed: int
    """Of those latents."""
    data: DataRecord
    """The real pictures."""
    encoder: Mapping[str, EncoderReport]
    """By categorical code."""
    information: InformationReport
    """By code."""
    round_trip: RoundTripReport
    """By code."""
    styles: StyleTable
    """By continuous code."""
    judge: JudgeRecord | None
    """The independent judge; needs labels."""
    generator: GeneratorReport | None
    """Needs the judge."""

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
