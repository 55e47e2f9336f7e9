"""The sections of a page, and the figures in each."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from infogan_tool.export.report import charts, curves, grids
from infogan_tool.export.report.captions import CAPTIONS, TITLES
from infogan_tool.export.report.panels import Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.panels import Panel

_CURVES: Final[Mapping[str, Callable[[Entry, str], Panel | None]]] = {
    "losses": curves.losses,
    "probabilities": curves.probabilities,
    "information": curves.information,
    "other-stages": curves.other_stages,
}


def make_sections(entries: Sequence[Entry], epochs: Sequence[float] | None = None) -> list[Section]:
    """Draw every figure for which the entries have data.

    Args:
        entries: In the order of the page.
        epochs: Epochs of the samples over training; None selects some.
    """
    builder = _SectionBuilder(entries, epochs)
    rows = {
        "training": builder.training(),
        "evolution": builder.evolution(),
        "images": builder.images(),
        "codes": builder.codes(),
        "effects": builder.effects(),
        "recovery": builder.recovery(),
    }
    made = {key: tuple(rows[key]) for key in TITLES}
    return [Section(key=key, title=TITLES[key], rows=made[key]) for key in TITLES if made[key]]


class _SectionBuilder:
    """Draws the rows of figures, each figure with a name that is unique on the page."""

    def __init__(self, entries: Sequence[Entry], epochs: Sequence[float] | None) -> None:
        self._entries, self._epochs = entries, epochs
        self._models = [(entry, entry.model) for entry in entries if entry.model is not None]
        self._names = (f"f{number}" for number in count(1))

    def training(self) -> Iterator[Row]:
        for key, draw in _CURVES.items():
            yield from _row(key, [draw(entry, next(self._names)) for entry in self._entries])

    def evolution(self) -> Iterator[Row]:
        panels = [grids.evolution(entry, next(self._names), self._epochs) for entry in self._entries]
        yield from _row("evolution", panels)

    def images(self) -> Iterator[Row]:
        panels: list[Panel | None] = []
        shown: set[bytes] = set()
        for entry, model in self._models:
            panels.append(grids.generated(entry, model, next(self._names)))
            real = b"" if model.real is None else model.real.tobytes()
            if real not in shown:  # entries of one data set share their real images
                shown.add(real)
                panels.append(grids.real(entry, model, next(self._names)))
        yield from _row("generated", panels)

    def codes(self) -> Iterator[Row]:
        for code in dict.fromkeys(grid.code for _, model in self._models for grid in model.grids):
            panels = [
                grids.traversal(entry, model, grid, next(self._names))
                for entry, model in self._models
                for grid in model.grids
                if grid.code == code
            ]
            yield from _row("category" if code.startswith("k") else "style", panels, code)

    def effects(self) -> Iterator[Row]:
        every = [e for _, m in self._models for e in (*m.effects.codes.values(), *m.effects.noise)]
        largest = max((effect.strength for effect in every), default=1.0)
        panels = [
            charts.effects(entry, model, next(self._names), max_strength=largest)
            for entry, model in self._models
        ]
        yield from _row("effects", panels)
        yield from _row("comparison", [charts.comparison(self._entries, next(self._names))])

    def recovery(self) -> Iterator[Row]:
        yield from _row("confusion", self._confusion())
        codes = dict.fromkeys(code for _, model in self._models for code in model.recoveries)
        panels = [
            charts.recovery(entry, code, model.recoveries[code], next(self._names))
            for code in codes
            for entry, model in self._models
            if code in model.recoveries
        ]
        yield from _row("recovery", panels)
        yield from _row("attributes", [charts.attributes(e, m, next(self._names)) for e, m in self._models])

    def _confusion(self) -> Iterator[Panel]:
        for entry, model in self._models:
            results = model.results
            if results is None or results.data.label_names is None:
                continue
            for code in (grid.code for grid in model.grids if grid.code in results.encoder):
                clustering, labels = results.encoder[code].clustering, results.data.label_names
                if clustering is not None:
                    yield charts.confusion(entry, code, clustering, labels, next(self._names))


def _row(key: str, panels: Iterable[Panel | None], code: str = "") -> Iterator[Row]:
    drawn = tuple(panel for panel in panels if panel is not None)
    if drawn:
        title, caption = CAPTIONS[key]
        yield Row(title=f"{code}: {title}" if code else title, caption=caption, panels=drawn)
