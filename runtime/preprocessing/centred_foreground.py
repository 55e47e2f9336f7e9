"""Preprocessing ``centred_foreground``: segment the one object of an image, scale it to a box and centre it.

MNIST was made so: the object's longer side fills a box, its aspect ratio kept, and its centre of mass lies at
the image's centre. docs/explanation/preprocessing.md shows each step and its source.

1. ``background``: choose the grey channel with the greatest contrast, fit the background's brightness, and
   threshold the difference; the result is ink.
2. ``foreground``: split the ink into connected components, and keep the main one and its parts.
3. Here: thicken strokes that would be too thin, scale the object and centre it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.preprocessing.background import find_inks
from infogan_tool.runtime.preprocessing.foreground import segment_object

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.spec import Preprocessing

    Grey = npt.NDArray[np.float32]

_WORK: Final = 768
"""Greatest longer side of an image for segmentation; larger images are reduced first."""
_FINE: Final = 4
"""Enlargement of the box in which strokes are measured and thickened."""
_THRESHOLD: Final = 0.5


def apply_preprocessing(
    image: Image.Image, size: int, preprocessing: Preprocessing
) -> npt.NDArray[np.uint8] | None:
    """Segment the object of an opaque image of mode L or RGB, scale it to the box and centre it.

    Args:
        image: Of any size.
        size: Height and width of the result, S.
        preprocessing: The bundle's preprocessing.

    Returns:
        uint8 ``(S, S)``; None if the image is not one object on a background.
    """
    if max(image.size) > _WORK:
        scale = _WORK / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    segmented = (segment_object(ink) for ink in find_inks(image))
    found = next((candidate for candidate in segmented if candidate is not None), None)
    if found is None:
        return None
    canvas = np.zeros((size, size), np.float32)
    _paste(canvas, _to_box(found, preprocessing), preprocessing)
    values: npt.NDArray[np.uint8] = np.rint(canvas * 255).astype(np.uint8)
    return 255 - values if preprocessing.ink == "dark" else values


# --- size and stroke -----------------------------------------------------------------------------------


def _to_box(foreground: Grey, preprocessing: Preprocessing) -> Grey:
    """Scale an object ``(h, w)``, from 0 to 1, so that its longer side is the box."""
    if preprocessing.stroke:
        fine = _saturate(_scale(foreground, preprocessing.box * _FINE))
        missing = preprocessing.stroke * _FINE - stroke_width(fine)
        if missing > 1:
            inner = _saturate(_scale(foreground, max(1, round(preprocessing.box * _FINE - missing))))
            foreground = _dilated(inner, missing / 2)
    return _saturate(_scale(foreground, preprocessing.box))


def _scale(foreground: Grey, longer: int) -> Grey:
    height, width = foreground.shape
    scale = longer / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return foreground
    # Area averaging to shrink, which antialiases a bilevel image; smooth interpolation to enlarge.
    how = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(foreground).resize(size, how), np.float32)
    bounded: Grey = np.clip(resized, np.float32(0), np.float32(1))
    return bounded


def _saturate(foreground: Grey) -> Grey:
    """Scale the ink to full strength; shrinking turns thin strokes grey."""
    inked = foreground[foreground > 0.1 * foreground.max()]
    full = float(np.quantile(inked, 0.8)) if inked.size else 1.0
    saturated: Grey = np.clip(foreground / np.float32(max(full, 1e-3)), 0, 1)
    return saturated


def stroke_width(foreground: Grey) -> float:
    """Return the mean stroke width in pixels: twice the area divided by the length of the outline."""
    solid = np.pad(foreground >= _THRESHOLD, 1)
    steps = np.count_nonzero(solid[1:] != solid[:-1]) + np.count_nonzero(solid[:, 1:] != solid[:, :-1])
    # Pixel steps overestimate the length of a slanted line, by 4 / pi on average over all slants.
    return 2 * np.count_nonzero(solid) / max(steps * np.pi / 4, 1.0)


def _dilated(foreground: Grey, radius: float) -> Grey:
    """Dilate the ink by ``radius`` pixels: grey dilation with a disc."""
    reach = int(np.ceil(radius))
    padded = np.pad(foreground, 2 * reach)
    height, width = foreground.shape
    grown = np.zeros((height + 2 * reach, width + 2 * reach), np.float32)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            # The disc has a soft edge, so that radii between whole pixels differ.
            weight = np.float32(np.clip(radius + 0.5 - np.hypot(down, right), 0, 1))
            if weight:
                top, left = reach + down, reach + right
                moved = padded[top : top + grown.shape[0], left : left + grown.shape[1]]
                np.maximum(grown, weight * moved, out=grown)
    return grown


# --- position ------------------------------------------------------------------------------------------


def _centre(foreground: Grey, preprocessing: Preprocessing) -> tuple[float, float]:
    """Return the row and column of the centre, in pixels."""
    if preprocessing.centre == "box":
        rows, columns = np.flatnonzero(foreground.any(1)), np.flatnonzero(foreground.any(0))
        return (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    return _centroid(foreground.sum(1, dtype=np.float64)), _centroid(foreground.sum(0, dtype=np.float64))


def _centroid(mass: npt.NDArray[Any]) -> float:
    """Return the centre of mass of a profile, as an index."""
    return float(mass @ np.arange(len(mass))) / max(float(mass.sum()), 1e-9)


def _paste(canvas: Grey, foreground: Grey, preprocessing: Preprocessing) -> None:
    """Paste the object with its centre at the canvas's centre, to the pixel; crop what extends beyond."""
    middle = len(canvas) / 2
    down, right = _centre(foreground, preprocessing)
    top, left = round(middle - down), round(middle - right)
    height, width = foreground.shape
    up, over = max(0, -top), max(0, -left)
    bottom, end = min(height, len(canvas) - top), min(width, len(canvas) - left)
    canvas[top + up : top + bottom, left + over : left + end] = foreground[up:bottom, over:end]
