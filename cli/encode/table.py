"""The table of codes that ``encode`` prints, line by line, so that it can stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.bundle.reading import Posterior

_GAP: Final = "  "
_MAX_RUNNER_UPS: Final = 2
"""With more categorical codes, columns of runner-ups would make the table too wide."""
_MIN_RUNNER_UP: Final = 0.0005
"""Least probability of a runner-up that is shown; less would read 0.0 %."""
_MIN_PATH_WIDTH: Final = 12
_STYLE_WIDTH: Final = len("-0.00 ± 0.00")
_OOD: Final = "ood"
"""Flag of an image that is out of distribution."""
_LOW: Final = "low confidence"
"""Flag of another image whose category is uncertain."""


class CodesTable:
    """Columns of fixed width: image, then label, confidence and runner-up per categorical code, then styles.

    Args:
        metadata: The bundle's metadata.
        paths: Paths of the first images, which give the width of the first column. On a terminal the column
            is cut so that lines fit.
        distance: Whether to show the OOD score.
    """

    def __init__(self, metadata: BundleMetadata, paths: Sequence[str], *, distance: bool = False) -> None:
        self._metadata = metadata
        self._distance = distance and metadata.ood is not None
        self._with_runner_up = len(metadata.latent.categorical) <= _MAX_RUNNER_UPS
        self._flags = self._metadata.ood is not None or bool(metadata.latent.categorical)
        self._heads, self._widths = self._columns()
        longest = max((len(printable(path)) for path in paths), default=0)
        self._narrow = sys.stdout is not None and sys.stdout.isatty()
        if self._narrow:
            import shutil

            taken = sum(self._widths) + len(_GAP) * len(self._widths)
            longest = min(longest, max(_MIN_PATH_WIDTH, shutil.get_terminal_size().columns - taken))
        self._path_width = max(longest, len("image"))
        self._header: str | None = self._join("image", self._heads)

    def lines(self, paths: Sequence[str], posterior: Posterior) -> Iterator[str]:
        """Yield the line of each of N images; before the first of all, the header."""
        if self._header is not None:
            yield self._header
            self._header = None
        low = posterior.low_confidence
        for row, path in enumerate(paths):
            cells: list[str] = []
            for place in range(posterior.categories.shape[1]):
                cells += self._category_cells(posterior, row, place)
            cells += [
                f"{mean:+.2f} ± {std:.2f}"
                for mean, std in zip(posterior.style_mean[row], posterior.style_std[row], strict=True)
            ]
            if self._distance and posterior.distance is not None:
                cells.append(f"{posterior.distance[row]:.4f}")
            if self._flags:
                is_ood = posterior.ood is not None and posterior.ood[row]
                cells.append(_OOD if is_ood else _LOW if low[row] else "")
            yield self._join(self._cut(printable(path)), cells)

    def _columns(self) -> tuple[list[str], list[int]]:
        """Return header and width of each column after the first."""
        columns: list[tuple[str, int]] = []
        latent = self._metadata.latent
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
            widest = max(len(self._metadata.shown_label(code, index)) for index in range(size))
            columns += [(code, widest), ("confidence", 0)]
            if self._with_runner_up:
                columns.append(("runner-up", widest + len(" 50.0 %")))
        for code in latent.continuous_names:
            name = self._metadata.style_names.get(code)
            columns.append((f"{code} {name}" if name else code, _STYLE_WIDTH))
        if self._distance:
            columns.append(("OOD score", 0))
        if self._flags:
            columns.append(("flag", len(_LOW)))
        return [head for head, _ in columns], [max(len(head), width) for head, width in columns]

    def _category_cells(self, posterior: Posterior, row: int, place: int) -> list[str]:
        code = self._metadata.latent.categorical_names[place]
        index = int(posterior.categories[row, place])
        cells = [
            self._metadata.shown_label(code, index),
            f"{100 * posterior.confidence[row, place]:.1f} %".rjust(len("confidence")),
        ]
        if self._with_runner_up:
            table = posterior.probabilities[place][row, None]
            by_label = self._metadata.by_label(table, code)[0].tolist()
            labels = [self._metadata.shown_label(code, i) for i in range(len(by_label))]
            others = [-1.0 if label == cells[0] else p for label, p in zip(labels, by_label, strict=True)]
            probability = max(others)
            runner_up = labels[others.index(probability)]
            cells.append(f"{runner_up} {100 * probability:.1f} %" if probability >= _MIN_RUNNER_UP else "")
        return cells

    def _cut(self, path: str) -> str:
        # The end of a path distinguishes files better than its beginning.
        fits = len(path) <= self._path_width or not self._narrow
        return path if fits else "…" + path[1 - self._path_width :]

    def _join(self, path: str, cells: list[str]) -> str:
        padded = [path.ljust(self._path_width)]
        padded += [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]
        return _GAP.join(padded).rstrip()
