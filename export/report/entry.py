"""What a report knows of one run or bundle; whatever could not be had is None or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from infogan_tool.export.evaluation.metrics.label_matching import MIN_PURITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.round_trip import ContinuousRecovery
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.export.report.effects import Effects
    from infogan_tool.export.report.metrics_log import History
    from infogan_tool.export.report.samples import SampleSheets
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["Entry", "Grid", "Model", "Recovery"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grid:
    """Images in which one code varies along the columns."""

    code: str
    """The code."""
    images: NDArray[np.uint8]
    """``(rows, columns, S, S, C)``."""
    values: tuple[float, ...]
    """The code's value in each column; an index where it is categorical."""
    row_code: str | None
    """The categorical code that varies along the rows; None where they differ by noise."""
    row_values: tuple[int, ...]
    """The category of each row; the numbers of the noise where ``row_code`` is None."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recovery:
    """A continuous code, drawn and read back."""

    drawn: NDArray[np.float32]
    """``(N,)``, from -1 to 1."""
    mean: NDArray[np.float32]
    """``(N,)``: what the encoder reads from the image."""
    figures: ContinuousRecovery
    """The correlation, and how far off."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """What the exported graphs do."""

    metadata: BundleMetadata
    """What the bundle says of itself."""
    drawn: NDArray[np.uint8]
    """``(N, S, S, C)``: images of random latents."""
    real: NDArray[np.uint8] | None
    """Real images likewise; None where there are none."""
    grids: tuple[Grid, ...]
    """One for each code that is shown."""
    left_out: int
    """Codes that are not shown, because there are too many."""
    effects: Effects
    """Of the codes that are shown."""
    recoveries: Mapping[str, Recovery]
    """By continuous code."""
    sharpness: float | None
    """Of generated images; see :mod:`infogan_tool.export.report.sharpness`."""
    real_sharpness: float | None
    """Of real ones."""
    evaluation: Results | None
    """What ``evaluate`` measures; None without real images."""

    @property
    def relative_sharpness(self) -> float | None:
        """Sharpness of generated images, where that of real ones is 1."""
        if self.sharpness is None or not self.real_sharpness:
            return None
        return self.sharpness / self.real_sharpness

    @property
    def correctness(self) -> float | None:
        """Share of generated images that the classifier takes for what their category is.

        That is its label on real images, where the encoder gives it one, and else the class that the
        classifier
        sees in most of its images; of several categorical codes, that of the one that does best.
        """
        purity = self.evaluation.generator.purity if self.evaluation and self.evaluation.generator else {}
        found = [
            p.purity if p.agrees_with_encoder is None else p.agrees_with_encoder for p in purity.values()
        ]
        return max(found, default=None)

    def looks_like(self, code: str) -> tuple[str | None, ...]:
        """Return what each category of ``code`` is on real images, else what the classifier sees most."""
        size = self.metadata.latent.categorical[self.metadata.latent.categorical_index(code)]
        named = [self.metadata.label(code, index) for index in range(size)]
        generator = self.evaluation.generator if self.evaluation else None
        seen = generator.purity[code].categories if generator and code in generator.purity else ()
        judged = [row.label if (row.purity or 0.0) >= MIN_PURITY else None for row in seen] or [None] * size
        return tuple(name if name is not None else other for name, other in zip(named, judged, strict=True))

    def category(self, code: str, index: int) -> str:
        """Return how to call a category: its name if there is one, else its number."""
        name = self.looks_like(code)[index]
        return f"#{index}" if name is None else name


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """One run or bundle of a report."""

    name: str
    """What to call it: printable, short, different for each."""
    kind: Literal["run", "bundle"]
    """What it is."""
    preset: str | None
    """The preset that it was trained by, where that is known."""
    facts: Mapping[str, str]
    """What it is, for people, by what it is called."""
    config: Mapping[str, Any]
    """The training config; empty where it is not known."""
    latent: LatentSpec | None
    """Its codes."""
    history: History
    """The run's figures; without stages for a bundle."""
    samples: SampleSheets | None
    """The run's sample sheets."""
    model: Model | None
    """Its exported graphs; None where the run has nothing to export yet."""
    notes: tuple[str, ...]
    """What could not be shown, and why."""
