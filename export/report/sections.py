"""The sections of a page, and the figures in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infogan_tool.export.report import charts, curves, grids
from infogan_tool.export.report.captions import CAPTIONS, TITLES
from infogan_tool.export.report.panels import Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from infogan_tool.export.report.entry import Entry, Model
    from infogan_tool.export.report.panels import Panel

    _Models = Sequence[tuple[Entry, Model]]

_CURVES: Final[Mapping[str, Callable[[Entry], Panel | None]]] = {
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
    models = [(entry, entry.model) for entry in entries if entry.model is not None]
    rows = {
        "training": _training(entries),
        "evolution": _row("evolution", [grids.evolution(entry, epochs) for entry in entries]),
        "images": _images(models),
        "codes": _codes(models),
        "effects": _effects(entries, models),
        "recovery": _recovery(models),
    }
    made = {key: tuple(rows[key]) for key in TITLES}
    return [Section(key=key, title=TITLES[key], rows=made[key]) for key in TITLES if made[key]]


def _training(entries: Sequence[Entry]) -> Iterator[Row]:
    for key, draw in _CURVES.items():
        yield from _row(key, map(draw, entries))


def _images(models: _Models) -> Iterator[Row]:
    real: dict[bytes, Panel | None] = {}
    for entry, model in models:
        key = b"" if model.real is None else model.real.tobytes()
        if key not in real:  # entries of one data set share their real images
            real[key] = grids.real(entry, model)
    yield from _row("generated", [*(grids.generated(*model) for model in models), *real.values()])


def _codes(models: _Models) -> Iterator[Row]:
    for code in dict.fromkeys(grid.code for _, model in models for grid in model.grids):
        panels = [
            grids.traversal(entry, model, grid)
            for entry, model in models
            for grid in model.grids
            if grid.code == code
        ]
        yield from _row("category" if code.startswith("k") else "style", panels, code)


def _effects(entries: Sequence[Entry], models: _Models) -> Iterator[Row]:
    every = [effect for _, m in models for effect in (*m.effects.codes.values(), *m.effects.noise)]
    largest = max((effect.strength for effect in every), default=1.0)
    yield from _row("effects", [charts.effects(e, m, max_strength=largest) for e, m in models])
    yield from _row("comparison", [charts.comparison(entries)])


def _recovery(models: _Models) -> Iterator[Row]:
    yield from _row("confusion", _confusion(models))
    codes = dict.fromkeys(code for _, model in models for code in model.recoveries)
    panels = [
        charts.recovery(entry, code, model.recoveries[code])
        for code in codes
        for entry, model in models
        if code in model.recoveries
    ]
    yield from _row("recovery", panels)
    yield from _row("attributes", [charts.attributes(entry, model) for entry, model in models])


def _confusion(models: _Models) -> Iterator[Panel]:
    for entry, model in models:
        results = model.results
        if results is None or results.data.label_names is None:
            continue
        for code in (grid.code for grid in model.grids if grid.code in results.encoder):
            clustering = results.encoder[code].clustering
            if clustering is not None:
                yield charts.confusion(entry, code, clustering, results.data.label_names)


def _row(key: str, panels: Iterable[Panel | None], code: str = "") -> Iterator[Row]:
    drawn = tuple(panel for panel in panels if panel is not None)
    if drawn:
        title, caption = CAPTIONS[key]
        yield Row(title=f"{code}: {title}" if code else title, caption=caption, panels=drawn)
