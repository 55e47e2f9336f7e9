"""Figures of measurements: confusion, codes read back, what styles follow, what moves the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.patches import Rectangle

from infogan_tool.export.report.canvas import INK, LINE, ON, SERIES, SOFT, draw
from infogan_tool.export.report.panels import Panel, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.clustering import Clustering
    from infogan_tool.export.report.canvas import RenderedFigure
    from infogan_tool.export.report.entry import Entry, Model, Recovery

__all__ = ["attributes", "comparison", "confusion", "effects", "recovery"]

_WIDTH: Final = 4.6
_MAX_CELLS: Final = 30
"""Rows and columns of a table of cells; the rest is left out."""
_MAX_NUMBERED: Final = 14
"""Up to so many columns the cells have numbers."""
_DARK: Final = 0.55
"""Cells filled more than this have light text."""
_PERCENT: Final = 100
_MAX_STYLES: Final = 6


def confusion(entry: Entry, code: str, found: Clustering, labels: Sequence[str], name: str) -> Panel:
    """Draw the share of each label's real images that are in each category, the columns in label order."""
    counts = np.array(found.confusion, np.float64)
    place = {label: i for i, label in enumerate(labels)}
    label_of = [row.label for row in found.categories]
    order = sorted(range(len(label_of)), key=lambda k: place.get(label_of[k] or "", len(labels)))
    rows = [i for i in range(len(labels)) if counts[i].sum()][:_MAX_CELLS]
    order = order[:_MAX_CELLS]
    shares = counts[np.ix_(rows, order)] / counts[rows].sum(axis=1, keepdims=True)

    def text(share: float) -> str:
        return f"{_PERCENT * share:.0f}" if share >= 0.005 else ""  # noqa: PLR2004 - rounds to 0

    drawn = _cells(
        shares,
        name,
        rows=[short(labels[i], 10) for i in rows],
        columns=[f"#{k}" for k in order],
        labels=("label", f"category of {code}"),
        text=text,
        height=min(1.1 + 0.3 * len(rows), 6.5),
    )
    alt = (
        f"Confusion of {code} on real images: accuracy {found.accuracy:.4f}, NMI {found.nmi:.3f}; "
        "cells are the percentage of a label's images in a category."
    )
    return Panel(key=f"confusion-{code}", entry=entry.name, drawn=drawn, alt=alt)


def recovery(entry: Entry, code: str, found: Recovery, name: str) -> Panel:
    """Draw a continuous code against what the encoder reads from the image drawn with it."""

    def paint(axes: Axes) -> None:
        axes.axline((0, 0), slope=1, color=SOFT, linewidth=0.8, linestyle=":")
        axes.plot(
            found.drawn, found.mean, linestyle="", marker="o", markersize=2.6, markeredgewidth=0, alpha=0.55,
            color=SERIES[0],
        )  # fmt: skip
        bound = max(1.25, float(np.abs(found.mean).max()) * 1.05) if len(found.mean) else 1.25
        axes.set_xlim(-1.1, 1.1)
        axes.set_ylim(-bound, bound)
        axes.set_xlabel(f"{code} drawn")
        axes.set_ylabel(f"{code} read back")
        axes.set_title(f"r = {found.figures.pearson_r:.3f}")

    drawn = draw(paint, width=2.9, height=2.7, name=name)
    alt = (
        f"{code} drawn against {code} read back from {len(found.drawn)} images: "
        f"r = {found.figures.pearson_r:.3f}, mean error {found.figures.mean_abs_error:.3f}."
    )
    return Panel(key=f"recovery-{code}", entry=entry.name, drawn=drawn, alt=alt)


def attributes(entry: Entry, model: Model, name: str) -> Panel | None:
    """Draw the correlation of each style with each attribute, on drawn and on real images."""
    styles = model.evaluation.styles if model.evaluation else None
    if styles is None or not styles.codes:
        return None
    codes = list(styles.codes)[:_MAX_STYLES]
    names = list(styles.codes[codes[0]].attributes)
    table = np.full((len(names), 2 * len(codes)), np.nan)
    for column, code in enumerate(codes):
        for row, attribute in enumerate(names):
            found = styles.codes[code].attributes[attribute]
            for side, value in enumerate((found.generated_pearson, found.real_pearson)):
                table[row, 2 * column + side] = np.nan if value is None else value
    drawn = _cells(
        table,
        name,
        rows=[attribute.replace("_", " ") for attribute in names],
        columns=[f"{code}\n{side}" for code in codes for side in ("drawn", "real")],
        labels=("", ""),
        text=lambda r: f"{r + 0.0:+.2f}",
        height=3.4,
    )
    named = "; ".join(f"{code} follows {styles.codes[code].name or 'no attribute'}" for code in codes)
    return Panel(
        key="attributes",
        entry=entry.name,
        drawn=drawn,
        alt=f"Correlation of styles with attributes, within categories: {named}.",
    )


def effects(entry: Entry, model: Model, name: str, *, furthest: float) -> Panel:
    """Draw strength against consistency of each code, and of single noise dimensions.

    Args:
        entry: Whose.
        model: Its graphs.
        name: Of the figure.
        furthest: The greatest strength of all entries, so that their figures compare.
    """
    found, categorical = model.effects, model.metadata.latent.categorical_names

    def paint(axes: Axes) -> None:
        noise = [(_PERCENT * e.strength, e.consistency) for e in found.noise if e.consistency is not None]
        if noise:
            across, up = zip(*noise, strict=True)
            axes.plot(across, up, linestyle="", marker="o", markersize=4, color=SOFT, alpha=0.45)
            above = (float(np.mean(across)), max(up))
            _named(axes, "single noise dimensions", above, (-10, 7), SOFT)
        for code, effect in found.codes.items():
            place = (_PERCENT * effect.strength, effect.consistency or 0.0)
            kind = 0 if code in categorical else 1
            axes.plot(*place, linestyle="", marker="Do"[kind], markersize=7, color=SERIES[kind])
            _named(axes, code, place, (7, -3), INK)
        axes.set_xlim(0, _PERCENT * furthest * 1.15 or 1)
        axes.set_ylim(-0.05, 1.05)
        axes.set_xlabel("strength: change of a pixel, % of its range")
        axes.set_ylabel("consistency")

    drawn = draw(paint, width=_WIDTH, height=2.9, name=name)
    told = "; ".join(
        f"{code} {_PERCENT * e.strength:.1f} % with consistency {e.consistency or 0:.2f}"
        for code, e in found.codes.items()
    )
    noise = found.noise_strength
    beside = f"; a noise dimension {_PERCENT * noise:.1f} %" if noise is not None else ""
    alt = f"How far each code moves a pixel: {told}{beside}."
    return Panel(key="effects", entry=entry.name, drawn=drawn, alt=alt)


def comparison(entries: Sequence[Entry], name: str) -> Panel | None:
    """Draw how sharp and how right the images of several entries are; None where that is not known."""
    known = [(s.name, s.model.relative_sharpness, s.model.correctness) for s in entries if s.model]
    if len(known) < 2 or not any(v is not None for _, *values in known for v in values):  # noqa: PLR2004
        return None

    def paint(axes: Axes) -> None:
        for row, (_, *values) in enumerate(known):
            for part, value in enumerate(values):
                if value is None:
                    continue
                place = row + 0.19 * (2 * part - 1)
                label = ("sharpness", "correctness")[part] if row == 0 else None
                axes.barh(place, value, height=0.34, color=SERIES[part], label=label)
                _named(axes, f"{value:.2f}", (value, place), (4, -3), INK)
        axes.axvline(1, color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(known)), [short(known_name, 22) for known_name, *_ in known])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.margins(x=0.14)
        figure = axes.get_figure()
        assert figure is not None
        figure.legend(loc="outside upper left", ncols=2)

    drawn = draw(paint, width=_WIDTH, height=0.9 + 0.55 * len(known), name=name)
    told = "; ".join(
        f"{whose}: sharpness {_number(sharp)}, correctness {_number(right)}" for whose, sharp, right in known
    )
    return Panel(key="comparison", entry=None, drawn=drawn, alt=f"Where real images have 1: {told}.")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _named(axes: Axes, text: str, place: tuple[float, float], off: tuple[int, int], colour: str) -> None:
    size = 8 if colour == SOFT else 9
    axes.annotate(text, place, xytext=off, textcoords="offset points", color=colour, fontsize=size)


def _cells(
    table: NDArray[np.float64],
    name: str,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    text: Callable[[float], str],
    height: float,
) -> RenderedFigure:
    """Draw a table from -1 to 1 as cells: the fuller, the further from 0; below 0 in another colour."""
    count_down, count_across = table.shape

    def paint(axes: Axes) -> None:
        for row in range(count_down):
            for column in range(count_across):
                value = table[row, column]
                if not np.isfinite(value):
                    continue
                colour, full = SERIES[0 if value >= 0 else 2], min(abs(value), 1.0)
                axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, alpha=full, linewidth=0))
                if count_across <= _MAX_NUMBERED and text(value):
                    axes.text(
                        column + 0.5, row + 0.52, text(value), ha="center", va="center", fontsize=8,
                        color=ON if full > _DARK else INK,
                    )  # fmt: skip
        axes.set_xlim(0, count_across)
        axes.set_ylim(count_down, 0)
        axes.set_xticks(np.arange(count_across) + 0.5, columns)
        axes.set_yticks(np.arange(count_down) + 0.5, rows)
        axes.set_xticks(np.arange(count_across + 1), minor=True)
        axes.set_yticks(np.arange(count_down + 1), minor=True)
        axes.grid(visible=False, which="major")
        axes.grid(visible=True, which="minor", color=LINE, linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        axes.set_ylabel(labels[0])
        axes.set_xlabel(labels[1])

    return draw(paint, width=_WIDTH, height=height, name=name)
