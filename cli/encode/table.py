"""The table of codes that ``encode`` prints for people, line by line, so that it can stream."""

import sys
from collections.abc import Sequence
from typing import Any, Final

from infogan_tool.runtime.bundle.metadata import BundleMetadata
from infogan_tool.runtime.storage.atomic import printable

__all__ = ["CodesTable"]

_GAP: Final = "  "
_SECOND_BEST: Final = 2
"""With more categorical codes than this, the second best of each would make the table too wide."""
_MIN_PATH: Final = 12
_STYLE_WIDTH: Final = len("-0.00 ± 0.00")
_OOD: Final = "out of distribution"
"""Mark of an image whose distance is above the bundle's threshold."""


class CodesTable:
    """Fixed columns: image, and for each categorical code what it is, how surely, and what comes next.

    Args:
        metadata: The bundle's.
        paths: Those that are shown first, for the width of their column; on a terminal it is cut to fit.
    """

    def __init__(self, metadata: BundleMetadata, paths: Sequence[str]) -> None:
        self._metadata = metadata
        self._with_second = len(metadata.latent.categorical) <= _SECOND_BEST
        self._heads, self._widths = self._columns()
        longest = max((len(printable(path)) for path in paths), default=0)
        self._marked = metadata.ood is not None
        self._narrow = sys.stdout is not None and sys.stdout.isatty()
        if self._narrow:
            import shutil

            taken = sum(self._widths) + len(_GAP) * len(self._widths)
            longest = min(longest, max(_MIN_PATH, shutil.get_terminal_size().columns - taken))
        self._path_width = max(longest, len("image"))
        self._headed = False

    def line(self, record: dict[str, Any]) -> str:
        """Return the line of one record of ``encode --json``; the first is preceded by the heads."""
        cells: list[str] = []
        for category in record["categories"]:
            cells += self._category_cells(category)
        cells += [f"{s['mean']:+.2f} ± {s['std']:.2f}" for s in record["styles"]]
        if self._marked:
            cells.append(_OOD if record.get("ood") else "")
        line = self._join(self._cut(printable(record["path"])), cells)
        if self._headed:
            return line
        self._headed = True
        return f"{self._join('image', self._heads)}\n{line}"

    def _columns(self) -> tuple[list[str], list[int]]:
        heads: list[str] = []
        widths: list[int] = []
        latent = self._metadata.latent
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
            widest = max(len(self._name(code, index)) for index in range(size))
            columns = [(code, widest), ("confidence", 0)]
            if self._with_second:
                columns.append(("second best", widest + len(" 50.0 %")))
            for head, width in columns:
                heads.append(head)
                widths.append(max(len(head), width))
        for code in latent.continuous_names:
            name = self._metadata.style_names.get(code)
            heads.append(f"{code} {name}" if name else code)
            widths.append(max(len(heads[-1]), _STYLE_WIDTH))
        if self._metadata.ood is not None:
            heads.append("")
            widths.append(len(_OOD))
        return heads, widths

    def _category_cells(self, category: dict[str, Any]) -> list[str]:
        code, index = category["code"], category["index"]
        cells = [self._name(code, index), f"{100 * category['confidence']:.1f} %".rjust(len("confidence"))]
        if self._with_second:
            others = [(p, i) for i, p in enumerate(category["probabilities"]) if i != index]
            chance, second = max(others, key=lambda pair: pair[0])
            cells.append(f"{self._name(code, second)} {100 * chance:.1f} %")
        return cells

    def _name(self, code: str, index: int) -> str:
        """Return the label of a category, or its index as ``#3`` where it has none."""
        label = self._metadata.label(code, index)
        return f"#{index}" if label is None else label

    def _cut(self, path: str) -> str:
        # The end of a path tells more than its beginning.
        whole = len(path) <= self._path_width or not self._narrow
        return path if whole else "…" + path[1 - self._path_width :]

    def _join(self, path: str, cells: list[str]) -> str:
        padded = [path.ljust(self._path_width)]
        padded += [cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)]
        return _GAP.join(padded).rstrip()
