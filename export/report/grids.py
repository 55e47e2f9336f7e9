"""Figures made of images: code traversals, samples over training, generated and real images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.report.canvas import SERIES, draw, mosaic
from infogan_tool.export.report.panels import Panel
from infogan_tool.export.report.samples import select_epochs
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from infogan_tool.export.report.canvas import RenderedFigure
    from infogan_tool.export.report.entry import Entry, Grid, Model

_WIDTH: Final = 4.6
_ROW_LABELS: Final = 0.95
"""Inches on the left for the labels of rows."""
_COLUMN_LABELS: Final = 0.38
"""Inches below for the labels of columns."""
_PRIOR: Final = 1.0
_SIDE: Final = 10


def traversal(entry: Entry, model: Model, grid: Grid) -> Panel:
    """Draw the images of a code that varies along the columns."""
    metadata = model.metadata
    continuous = grid.code in metadata.latent.continuous_names
    if continuous:
        columns = [f"{value:g}" for value in grid.values]
        style = metadata.style_names.get(grid.code)
        below = f"{grid.code}, {style}" if style else grid.code
    else:
        columns = [printable(model.category(grid.code, round(value)), 7) for value in grid.values]
        below = f"category of {grid.code}"
    if grid.row_code:
        rows = [printable(model.category(grid.row_code, row), 12) for row in grid.row_values]
        beside = f"category of {grid.row_code}"
    else:
        rows, beside = ["" for _ in grid.row_values], "noise"

    def mark(axes: Axes, pitch: float) -> None:
        if continuous and len(columns) > 1:
            _mark_prior(axes, grid.values, pitch)

    labels = (printable(beside, 40), printable(below, 60))
    figure = _image_table(grid.images, rows=rows, columns=columns, labels=labels, extra=mark)
    alt = f"Images with {grid.code} from {columns[0]} to {columns[-1]} along the columns; rows: {beside}"
    named = f": {', '.join(rows)}" if grid.row_code else ""
    return Panel(key=f"traversal-{grid.code}", entry=entry.name, figure=figure, alt=f"{alt}{named}.")


def evolution(entry: Entry, epochs: Sequence[float] | None = None) -> Panel | None:
    """Draw the same latents at some epochs, a row for each, cropped from the run's sample sheets."""
    samples = entry.samples
    if samples is None or samples.layout is None:
        return None
    sheets = select_epochs(samples, epochs)
    images = np.stack([sheet.crop(samples.layout) for sheet in sheets])
    rows = [
        f"{round(sheet.epoch, 1):g}" if sheet.epoch is not None else f"{sheet.step:,}" for sheet in sheets
    ]
    unit = "epoch" if sheets[0].epoch is not None else "step"
    columns, shown = images.shape[1], samples.layout.shown
    figure = _image_table(images, rows=rows, columns=[""] * columns, labels=(unit, shown))
    alt = f"The same {columns} latents ({shown}) at {unit} {', '.join(rows)}, a row for each."
    return Panel(key="evolution", entry=entry.name, figure=figure, alt=alt)


def generated(entry: Entry, model: Model) -> Panel:
    """Draw images of random latents."""
    return _block("generated", entry, model.generated, "generated images of random latents")


def real(entry: Entry, model: Model) -> Panel | None:
    """Draw real images likewise."""
    if model.real is None or not len(model.real):
        return None
    return _block("real", entry, model.real, "real images, chosen at random")


def _block(key: str, entry: Entry, images: NDArray[np.uint8], what: str) -> Panel:
    """Draw whole rows of images."""
    columns = min(_SIDE, len(images))
    rows = len(images) // columns
    table = images[: rows * columns].reshape(rows, columns, *images.shape[1:])
    figure = _image_table(table, rows=[], columns=[], labels=("", ""))
    return Panel(key=key, entry=entry.name, figure=figure, alt=f"{rows * columns} {what}.")


def _image_table(
    images: NDArray[np.uint8],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: tuple[str, str],
    extra: Callable[[Axes, float], None] | None = None,
) -> RenderedFigure:
    """Draw ``(rows, columns, S, S, C)``; ``extra`` gets the axes and the pitch of the images in pixels."""
    pixels, gap = mosaic(images)
    count_down, count_across = images.shape[:2]
    left, below = (_ROW_LABELS if rows else 0.1), (_COLUMN_LABELS if columns else 0.1)
    wide = min(_WIDTH - left, 0.42 * count_across + 0.2)
    height = wide * pixels.shape[0] / pixels.shape[1] + below
    pad = 2.0 if extra is None else 5.0

    def paint(axes: Axes) -> None:
        pitch = (pixels.shape[1] + gap) / count_across
        axes.imshow(pixels, interpolation="none", aspect="equal")
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        centres = (np.arange(max(count_down, count_across)) + 0.5) * pitch - (gap + 1) / 2
        axes.set_yticks(centres[: len(rows)], rows)
        axes.set_xticks(centres[: len(columns)], columns)
        axes.tick_params(axis="x", pad=pad)
        axes.tick_params(axis="y", pad=2.0)
        axes.set_ylabel(labels[0])
        axes.set_xlabel(labels[1])
        ends = axes.get_ylim()
        if extra:
            extra(axes, pitch)
        axes.set_ylim(ends)

    return draw(paint, width=wide + left, height=height)


def _mark_prior(axes: Axes, values: Sequence[float], pitch: float) -> None:
    """Draw a line below the columns whose values are within the prior."""
    inside = [i for i, value in enumerate(values) if abs(value) <= _PRIOR + 1e-6]
    if inside:
        bottom = axes.get_ylim()[0]
        ends = (inside[0] * pitch, (inside[-1] + 1) * pitch - 3)
        axes.plot(ends, (bottom + 2, bottom + 2), color=SERIES[0], linewidth=2, clip_on=False)
