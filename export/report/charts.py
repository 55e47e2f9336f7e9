"""Figures of the metrics: confusion matrix, code recovery, attributes of styles, effects, comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.patches import Rectangle

from infogan_tool.export.report.canvas import INK, LINE, ON, SERIES, SOFT, draw
from infogan_tool.export.report.panels import Panel
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.clustering import Clustering
    from infogan_tool.export.report.canvas import RenderedFigure
    from infogan_tool.export.report.entry import Entry, Model, Recovery

_WIDTH: Final = 4.6
_MAX_CELLS: Final = 30
"""Maximum number of rows and columns of a heat map; the rest is left out."""
_MAX_NUMBERED: Final = 14
"""Maximum number of columns with numbers in the cells."""
_DARK: Final = 0.55
"""Cells filled more than this have light text."""
_LABEL: Final = (0.12, 0.07)
"""Room of a code's label in the figure of effects: a share of the axis, a consistency."""
_PERCENT: Final = 100
_MAX_STYLES: Final = 6


def confusion(entry: Entry, code: str, clustering: Clustering, labels: Sequence[str]) -> Panel:
    """Draw the share of each label's real images in each category, the columns in the order of labels."""
    counts = np.array(clustering.confusion, np.float64)
    index_of = {label: i for i, label in enumerate(labels)}
    label_of = [row.label for row in clustering.categories]
    order = sorted(range(len(label_of)), key=lambda k: index_of.get(label_of[k] or "", len(labels)))
    rows = [i for i in range(len(labels)) if counts[i].sum()][:_MAX_CELLS]
    order = order[:_MAX_CELLS]
    shares = counts[np.ix_(rows, order)] / counts[rows].sum(axis=1, keepdims=True)

    def text(share: float) -> str:
        return f"{_PERCENT * share:.0f}" if share >= 0.005 else ""  # noqa: PLR2004 - rounds to 0

    figure = _heat_map(
        shares,
        rows=[printable(labels[i], 10) for i in rows],
        columns=[f"#{k}" for k in order],
        labels=("label", f"category of {code}"),
        text=text,
        height=min(1.1 + 0.3 * len(rows), 6.5),
    )
    alt = (
        f"Confusion matrix of {code} on real images: accuracy {clustering.accuracy:.4f}, "
        f"NMI {clustering.nmi:.3f}; cells are the percentage of a label's images in a category."
    )
    return Panel(key=f"confusion-{code}", entry=entry.name, figure=figure, alt=alt)


def recovery(entry: Entry, code: str, found: Recovery) -> Panel:
    """Draw the predicted mean against the continuous code of generated images."""

    def paint(axes: Axes) -> None:
        axes.axline((0, 0), slope=1, color=SOFT, linewidth=0.8, linestyle=":")
        axes.plot(
            found.values, found.mean, linestyle="", marker="o", markersize=2.6, markeredgewidth=0, alpha=0.55,
            color=SERIES[0],
        )  # fmt: skip
        bound = max(1.25, float(np.abs(found.mean).max()) * 1.05) if len(found.mean) else 1.25
        axes.set_xlim(-1.1, 1.1)
        axes.set_ylim(-bound, bound)
        axes.set_xlabel(code)
        axes.set_ylabel(f"{code}, predicted")
        axes.set_title(f"r = {found.scores.pearson_r:.3f}")

    figure = draw(paint, width=2.9, height=2.7)
    alt = (
        f"{code} and its predicted mean on {len(found.values)} generated images: "
        f"r = {found.scores.pearson_r:.3f}, mean absolute error {found.scores.mean_abs_error:.3f}."
    )
    return Panel(key=f"recovery-{code}", entry=entry.name, figure=figure, alt=alt)


def attributes(entry: Entry, model: Model) -> Panel | None:
    """Draw the correlation of each style with each attribute, on generated and on real images."""
    styles = model.results.styles if model.results else None
    if styles is None or not styles.codes:
        return None
    codes = list(styles.codes)[:_MAX_STYLES]
    names = list(styles.codes[codes[0]].attributes)
    rows = [[styles.codes[code].attributes[attribute] for code in codes] for attribute in names]
    table = [[r for cell in row for r in (cell.generated_pearson, cell.real_pearson)] for row in rows]
    figure = _heat_map(
        np.array(table, np.float64),
        rows=[attribute.replace("_", " ") for attribute in names],
        columns=[f"{code}\n{kind}" for code in codes for kind in ("gen.", "real")],
        labels=("", ""),
        text=lambda r: f"{r + 0.0:+.2f}",
        height=3.4,
    )
    named = "; ".join(f"{code}: {styles.codes[code].name or 'no attribute dominates'}" for code in codes)
    alt = f"Correlation of styles with attributes, within categories: {named}."
    return Panel(key="attributes", entry=entry.name, figure=figure, alt=alt)


def effects(entry: Entry, model: Model, *, max_strength: float) -> Panel:
    """Draw strength against consistency of each code, and of single noise dimensions.

    Args:
        entry: The entry of the model.
        model: The model.
        max_strength: The maximum strength of all entries, so that their figures have the same scale.
    """
    found, categorical = model.effects, model.metadata.latent.categorical_names

    def paint(axes: Axes) -> None:
        noise = [(_PERCENT * e.strength, e.consistency) for e in found.noise if e.consistency is not None]
        if noise:
            across, up = zip(*noise, strict=True)
            axes.plot(across, up, linestyle="", marker="o", markersize=4, color=SOFT, alpha=0.45)
        width = _PERCENT * max_strength * 1.15 or 1
        labels: list[tuple[float, float]] = []
        for code, effect in sorted(found.codes.items(), key=lambda item: -(item[1].consistency or 0.0)):
            x, y = _PERCENT * effect.strength, effect.consistency or 0.0
            kind = 0 if code in categorical else 1
            axes.plot(x, y, linestyle="", marker="Do"[kind], markersize=7, color=SERIES[kind])
            above = [height for beside, height in labels if abs(x - beside) < _LABEL[0] * width]
            labels.append((x, min([y, *(height - _LABEL[1] for height in above)])))
            _annotate(axes, code, labels[-1], (7, -3))
        axes.set_xlim(0, width)
        axes.set_ylim(-0.05, 1.05)
        axes.set_xlabel("strength: change of a pixel, % of its range")
        axes.set_ylabel("consistency")

    figure = draw(paint, width=_WIDTH, height=2.9)
    strengths = "; ".join(
        f"{code} {_PERCENT * e.strength:.1f} % with consistency {e.consistency or 0:.2f}"
        for code, e in found.codes.items()
    )
    noise = found.noise_strength
    if noise is not None:
        strengths += f"; a noise dimension {_PERCENT * noise:.1f} %"
    alt = f"Change of a pixel by each code: {strengths}."
    return Panel(key="effects", entry=entry.name, figure=figure, alt=alt)


def comparison(entries: Sequence[Entry]) -> Panel | None:
    """Draw sharpness and correctness of several entries; None where neither is known, or of one entry."""
    known = [(e.name, e.model.relative_sharpness, e.model.correctness) for e in entries if e.model]
    if len(known) < 2 or not any(v is not None for _, *values in known for v in values):  # noqa: PLR2004
        return None

    def paint(axes: Axes) -> None:
        for part, name in enumerate(("sharpness", "correctness")):
            for row, (_, *values) in enumerate(known):
                y, value = row + 0.19 * (2 * part - 1), values[part]
                if value is not None:
                    axes.barh(y, value, height=0.34, color=SERIES[part], label=name)
                    _annotate(axes, f"{value:.2f}", (value, y), (4, -3))
        axes.axvline(1, color=SOFT, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(known)), [printable(known_name, 22) for known_name, *_ in known])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.margins(x=0.14)
        figure = axes.get_figure()
        assert figure is not None
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one of each name
        figure.legend(handles.values(), handles, loc="outside upper left", ncols=2)

    figure = draw(paint, width=_WIDTH, height=0.9 + 0.55 * len(known))
    values = "; ".join(f"{whose}: sharpness {_number(s)}, correctness {_number(c)}" for whose, s, c in known)
    return Panel(key="comparison", entry=None, figure=figure, alt=f"Real images have 1. {values}.")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _annotate(axes: Axes, text: str, point: tuple[float, float], offset: tuple[int, int]) -> None:
    axes.annotate(text, point, xytext=offset, textcoords="offset points", color=INK, fontsize=9)


def _heat_map(
    table: NDArray[np.float64],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    text: Callable[[float], str],
    height: float,
) -> RenderedFigure:
    """Draw a table from -1 to 1 as cells whose opacity is the absolute value; negative in another colour."""
    count_down, count_across = table.shape

    def paint(axes: Axes) -> None:
        for (row, column), value in np.ndenumerate(table):
            if not np.isfinite(value):
                continue
            colour, opacity = SERIES[0 if value >= 0 else 2], min(abs(value), 1.0)
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, alpha=opacity, linewidth=0))
            if count_across <= _MAX_NUMBERED and text(value):
                axes.text(
                    column + 0.5, row + 0.52, text(value), ha="center", va="center", fontsize=8,
                    color=ON if opacity > _DARK else INK,
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

    return draw(paint, width=_WIDTH, height=height)
