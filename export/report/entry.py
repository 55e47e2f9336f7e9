"""The data of one run or bundle in a report; what is not available is None or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from infogan_tool.export.evaluation.metrics.label_matching import MIN_PURITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.purity import GeneratedCategory
    from infogan_tool.export.evaluation.metrics.round_trip import ContinuousRecovery
    from infogan_tool.export.evaluation.results import GeneratorResults, Results
    from infogan_tool.export.report.effects import Effects
    from infogan_tool.export.report.metrics_log import MetricsLog
    from infogan_tool.export.report.samples import SampleSheets
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.latents.spec import LatentSpec


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grid:
    """Images in which one code varies along the columns."""

    code: str
    """The code."""
    images: NDArray[np.uint8]
    """``(rows, columns, S, S, C)``."""
    values: tuple[float, ...]
    """Value of the code in each column; an index where it is categorical."""
    row_code: str | None
    """The categorical code that varies along the rows; None where the rows differ by noise."""
    row_values: tuple[int, ...]
    """The category of each row, or the index of its noise."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recovery:
    """A continuous code of generated images, and its prediction by the encoder."""

    values: NDArray[np.float32]
    """``(N,)``: the code, from -1 to 1."""
    mean: NDArray[np.float32]
    """``(N,)``: the predicted mean."""
    scores: ContinuousRecovery
    """Correlation and errors."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """Images and metrics of the exported graphs."""

    metadata: BundleMetadata
    """The bundle's metadata."""
    generated: NDArray[np.uint8]
    """``(N, S, S, C)``: images of random latents."""
    real: NDArray[np.uint8] | None
    """Real images likewise; None where there are none."""
    grids: tuple[Grid, ...]
    """One for each code that is shown."""
    left_out: int
    """Number of codes that are not shown, because there are too many."""
    effects: Effects
    """Effects of the codes that are shown."""
    recoveries: Mapping[str, Recovery]
    """By continuous code."""
    sharpness: float | None
    """Sharpness of generated images; see :mod:`infogan_tool.export.report.sharpness`."""
    real_sharpness: float | None
    """Sharpness of real images."""
    results: Results | None
    """The results of an evaluation; None without real images."""

    @property
    def generator(self) -> GeneratorResults | None:
        """The results that need the evaluation classifier; None without labels."""
        return self.results.generator if self.results else None

    @property
    def relative_sharpness(self) -> float | None:
        """Sharpness of generated images relative to real ones."""
        if self.sharpness is None or not self.real_sharpness:
            return None
        return self.sharpness / self.real_sharpness

    @property
    def correctness(self) -> float | None:
        """Share of generated images that are classified as the label of their category.

        The maximum over the categorical codes. Where the encoder's categories have no labels: classified as
        the most frequent class of their category. None without a categorical code or an evaluation
        classifier.
        """
        shares = [
            purity.purity if purity.agrees_with_encoder is None else purity.agrees_with_encoder
            for purity in (self.generator.purity.values() if self.generator else ())
        ]
        return max(shares, default=None)

    def generated_categories(self, code: str) -> tuple[GeneratedCategory, ...]:
        """Return the class of each category's generated images; empty without an evaluation classifier."""
        purity = self.generator.purity.get(code) if self.generator else None
        return purity.categories if purity else ()

    def category(self, code: str, index: int) -> str:
        """Return the label of a category on real images, else its class, else its number."""
        label = self.metadata.label(code, index)
        if label is None and (rows := self.generated_categories(code)):
            label = rows[index].label if (rows[index].purity or 0.0) >= MIN_PURITY else None
        return f"#{index}" if label is None else label


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """One run or bundle of a report."""

    name: str
    """Display name: printable, short, unique."""
    kind: Literal["run", "bundle"]
    """Kind of folder."""
    preset: str | None
    """The preset of the training, if known."""
    facts: Mapping[str, str]
    """Properties by display name."""
    config: Mapping[str, Any]
    """The training config; empty if not known."""
    latent: LatentSpec | None
    """The latent spec."""
    log: MetricsLog
    """The run's metrics log; without stages for a bundle."""
    samples: SampleSheets | None
    """The run's sample sheets."""
    model: Model | None
    """Images and metrics of the exported graphs; None where the run has no checkpoint to export."""
    notes: tuple[str, ...]
    """What is not shown, and why; what is wrong with the training or its images."""

    @property
    def results(self) -> Results | None:
        """The results of an evaluation, if there are any."""
        return self.model.results if self.model else None
