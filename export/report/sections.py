"""Which figures a report has, and in which order."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from infogan_tool.export.report import charts, curves, grids
from infogan_tool.export.report.captions import CAPTIONS, TITLES
from infogan_tool.export.report.panels import Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from infogan_tool.export.report.entry import Entry, Model
    from infogan_tool.export.report.panels import Panel

__all__ = ["sections_of"]

_CURVES: Final[Mapping[str, Callable[[Entry, str], Panel | None]]] = {
    "losses": curves.losses,
    "probabilities": curves.probabilities,
    "information": curves.information,
    "other-stages": curves.other_stages,
}


class _Drawer:
    """Draws the rows of figures of some entries, and gives each figure of the page a name of its own."""

    def __init__(self, entries: Sequence[Entry], epochs: Sequence[float] | None) -> None:
        self._entries, self._epochs = entries, epochs
        self._models = [(entry, entry.model) for entry in entries if entry.model is not None]
        self._names = (f"f{number}" for number in count(1))

    def sections(self) -> Iterator[Section]:
        rows = {
            "training": self._training(),
            "evolution": self._evolution(),
            "images": self._images(),
            "codes": self._codes(),
            "effects": self._effects(),
            "reading": self._reading(),
        }
        for key, title in TITLES.items():
            found = tuple(rows[key])
            if found:
                yield Section(key=key, title=title, rows=found)

    def _training(self) -> Iterator[Row]:
        for key, draw in _CURVES.items():
            yield from _row(key, [draw(entry, next(self._names)) for entry in self._entries])

    def _evolution(self) -> Iterator[Row]:
        panels = [grids.evolution(entry, next(self._names), self._epochs) for entry in self._entries]
        yield from _row("evolution", panels)

    def _images(self) -> Iterator[Row]:
        shown: list[Panel | None] = []
        seen: set[bytes] = set()
        for entry, model in self._models:
            shown.append(grids.generated(entry, model, next(self._names)))
            real = b"" if model.real is None else model.real.tobytes()
            if real not in seen:  # several entries mostly have the same
                seen.add(real)
                shown.append(grids.real(entry, model, next(self._names)))
        yield from _row("generated", shown)

    def _codes(self) -> Iterator[Row]:
        for code in dict.fromkeys(grid.code for _, model in self._models for grid in model.grids):
            panels = [
                grids.traversal(entry, grid, next(self._names))
                for entry, model in self._models
                for grid in model.grids
                if grid.code == code
            ]
            yield from _row("category" if code.startswith("k") else "style", panels, code)

    def _effects(self) -> Iterator[Row]:
        every = [e for _, m in self._models for e in (*m.effects.codes.values(), *m.effects.noise)]
        furthest = max((effect.strength for effect in every), default=1.0)
        panels = [
            charts.effects(entry, model, next(self._names), furthest=furthest)
            for entry, model in self._models
        ]
        yield from _row("effects", panels)
        yield from _row("comparison", [charts.comparison(self._entries, next(self._names))])

    def _reading(self) -> Iterator[Row]:
        yield from _row("confusion", [p for pair in self._models for p in self._confusions(*pair)])
        codes = dict.fromkeys(code for _, model in self._models for code in model.recoveries)
        panels = [
            charts.recovery(entry, code, model.recoveries[code], next(self._names))
            for code in codes
            for entry, model in self._models
            if code in model.recoveries
        ]
        yield from _row("recovery", panels)
        yield from _row("attributes", [charts.attributes(s, m, next(self._names)) for s, m in self._models])

    def _confusions(self, entry: Entry, model: Model) -> Iterator[Panel]:
        evaluation, shown = model.evaluation, {grid.code for grid in model.grids}
        for code, found in evaluation.encoder.items() if evaluation else ():
            labels = evaluation.data.label_names if evaluation else None
            if found.clustering is not None and labels is not None and code in shown:
                yield charts.confusion(entry, code, found.clustering, labels, next(self._names))


def sections_of(entries: Sequence[Entry], epochs: Sequence[float] | None = None) -> list[Section]:
    """Draw every figure that the entries allow.

    Args:
        entries: In the order of the page.
        epochs: Of the evolution; None chooses.
    """
    return list(_Drawer(entries, epochs).sections())


def _row(key: str, panels: Iterable[Panel | None], code: str = "") -> Iterator[Row]:
    kept = tuple(panel for panel in panels if panel is not None)
    if kept:
        title, reading = CAPTIONS[key]
        yield Row(title=f"{code}: {title}" if code else title, reading=reading, panels=kept)
