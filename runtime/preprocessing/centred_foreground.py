"""A photograph, scan or drawing of one figure, brought to what an encoder was trained on.

Kind ``centred_foreground`` of a bundle's ``image.preprocessing``, as MNIST was made: the figure's longer side
fills a box, its aspect kept, and its centre of mass lies in the middle of the image.
docs/explanation/preprocessing.md shows each step and names its source.

1. Colour becomes the grey in which figure and paper differ most, and the paper's brightness, however it is
   lit, a surface; what is darker (or lighter, where the paper is the dark one) is ink (``paper``).
2. Ink falls into connected components; the main one and its parts are kept and cut out (``figure``).
3. Strokes that would be too thin are thickened; the figure is scaled and centred (here).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.preprocessing.background import find_inks
from infogan_tool.runtime.preprocessing.foreground import cut_out

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec, Preprocessing

    Grey = npt.NDArray[np.float32]

__all__ = ["apply_preprocessing", "stroke_width"]

_WORK: Final = 768
"""Longer side of the image in which the figure is looked for; what is larger is reduced first."""
_FINE: Final = 4
"""Strokes are measured and thickened in a box so many times as large."""
_THRESHOLD: Final = 0.5


def apply_preprocessing(
    image: Image.Image, spec: ImageSpec, preprocessing: Preprocessing
) -> npt.NDArray[np.uint8] | None:
    """Find the figure in an opaque image of mode L or RGB and lay it out by the preprocessing.

    Returns:
        uint8 ``(S, S)``; None where there is no figure on a ground.
    """
    if max(image.size) > _WORK:
        scale = _WORK / max(image.size)
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image = image.resize(size, Image.Resampling.BOX)  # type: ignore[arg-type]
    figures = (cut_out(ink) for ink in find_inks(image))
    figure = next((figure for figure in figures if figure is not None), None)
    if figure is None:
        return None
    canvas = np.zeros((spec.size, spec.size), np.float32)
    _place(canvas, _to_box(figure, preprocessing), preprocessing)
    values: npt.NDArray[np.uint8] = np.rint(canvas * 255).astype(np.uint8)
    return 255 - values if preprocessing.ink == "dark" else values


# --- size and stroke -----------------------------------------------------------------------------------


def _to_box(figure: Grey, preprocessing: Preprocessing) -> Grey:
    """Scale a figure that is cut out, ``(h, w)`` from 0 to 1, so that its longer side is the box."""
    if preprocessing.stroke:
        fine = _saturated(_scaled(figure, preprocessing.box * _FINE))
        missing = preprocessing.stroke * _FINE - stroke_width(fine)
        if missing > 1:
            inner = _saturated(_scaled(figure, max(1, round(preprocessing.box * _FINE - missing))))
            figure = _thickened(inner, missing / 2)
    return _saturated(_scaled(figure, preprocessing.box))


def _scaled(figure: Grey, longer: int) -> Grey:
    height, width = figure.shape
    scale = longer / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return figure
    # Area averaging where it shrinks, as anti-aliasing of a bilevel image; smooth where it grows.
    how = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(figure).resize(size, how), np.float32)
    bounded: Grey = np.clip(resized, np.float32(0), np.float32(1))
    return bounded


def _saturated(figure: Grey) -> Grey:
    """Make the ink full: shrinking leaves the middle of a thin stroke grey."""
    inked = figure[figure > 0.1 * figure.max()]
    full = float(np.quantile(inked, 0.8)) if inked.size else 1.0
    saturated: Grey = np.clip(figure / np.float32(max(full, 1e-3)), 0, 1)
    return saturated


def stroke_width(figure: Grey) -> float:
    """Return the mean width of the strokes in pixels: twice the area by the length of the outline."""
    solid = np.pad(figure >= _THRESHOLD, 1)
    steps = np.count_nonzero(solid[1:] != solid[:-1]) + np.count_nonzero(solid[:, 1:] != solid[:, :-1])
    # Steps of pixels go around a slanted line the long way, pi / 4 on the average of all slants.
    return 2 * np.count_nonzero(solid) / max(steps * np.pi / 4, 1.0)


def _thickened(figure: Grey, radius: float) -> Grey:
    """Let the ink grow by ``radius`` pixels in every direction: grey dilation with a disc."""
    reach = int(np.ceil(radius))
    padded = np.pad(figure, 2 * reach)
    height, width = figure.shape
    grown = np.zeros((height + 2 * reach, width + 2 * reach), np.float32)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            # The disc's own edge is soft, so that radii between whole pixels differ.
            weight = np.float32(np.clip(radius + 0.5 - np.hypot(down, right), 0, 1))
            if weight:
                top, left = reach + down, reach + right
                moved = padded[top : top + grown.shape[0], left : left + grown.shape[1]]
                np.maximum(grown, weight * moved, out=grown)
    return grown


# --- place ---------------------------------------------------------------------------------------------


def _centre(figure: Grey, preprocessing: Preprocessing) -> tuple[float, float]:
    """Return the row and column of the centre, as the index of a pixel."""
    if preprocessing.centre == "box":
        rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
        return (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    return _middle(figure.sum(1, dtype=np.float64)), _middle(figure.sum(0, dtype=np.float64))


def _middle(mass: npt.NDArray[Any]) -> float:
    """Return the centre of masses in a row, as an index."""
    return float(mass @ np.arange(len(mass))) / max(float(mass.sum()), 1e-9)


def _place(canvas: Grey, figure: Grey, preprocessing: Preprocessing) -> None:
    """Put the figure on the canvas, its centre nearest to the middle; what hangs over is cut."""
    middle = len(canvas) / 2
    down, right = _centre(figure, preprocessing)
    top, left = round(middle - down), round(middle - right)
    height, width = figure.shape
    up, over = max(0, -top), max(0, -left)
    bottom, end = min(height, len(canvas) - top), min(width, len(canvas) - left)
    canvas[top + up : top + bottom, left + over : left + end] = figure[up:bottom, over:end]
