"""Attributes of an image that need no labels: slant, stroke width, size, position, brightness.

*Ink* is the absolute difference of a pixel's luma (ITU-R BT.601) from the median luma of the image's
border, divided by 255: 0 to 1, for images light on dark and dark on light alike. x grows to the right and
y *upwards*; the centre of the image is (0, 0), and lengths are in pixels. An image whose maximum ink is
below 1/16 is empty: its area and intensity are 0, and its other attributes are NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.ndimage import distance_transform_edt, zoom

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATTRIBUTES: Final = {
    "slant": "atan(cov(x, y) / var(y)) of the ink, degrees; positive leans to the right, like /",
    "stroke_width": "4 x mean distance of the inked pixels from the edge, pixels",
    "width": "sum over columns of the column's maximum ink / the image's, pixels",
    "height": "sum over rows of the row's maximum ink / the image's, pixels",
    "centre_x": "mean x of the ink, pixels to the right of the centre",
    "centre_y": "mean y of the ink, pixels above the centre",
    "aspect": "width / height",
    "area": "pixels with at least half of the image's maximum ink",
    "intensity": "sum of the ink, in fully inked pixels",
}
"""Definition of each attribute."""

_LUMA: Final = (0.299, 0.587, 0.114)
_EMPTY: Final = 1 / 16
_HALF: Final = 0.5
_ENLARGED: Final = 2
"""Images of up to 32 x 32 are enlarged so, linearly, before the stroke width is measured, for sub-pixel
precision."""
_SMALL: Final = 32
_FLAT: Final = 1e-9
"""A variance of rows below it is a rounding error, of a stroke one pixel high."""
_CHUNK: Final = 1000


def measure_attributes(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Return the attributes of images ``(N, H, W, C)``, C 1 or 3: float64 ``(N,)`` by name."""
    parts = [_measure(ink(images[i : i + _CHUNK])) for i in range(0, max(len(images), 1), _CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in ATTRIBUTES}


def luma(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the luma ``(N, H, W)``, from 0 to 255, of images ``(N, H, W, C)``, C 1 or 3."""
    weights = np.array(_LUMA if images.shape[3] == len(_LUMA) else (1.0,), np.float32)
    grey: NDArray[np.float32] = images.astype(np.float32) @ weights
    return grey


def ink(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the ink ``(N, H, W)``, from 0 to 1, of images ``(N, H, W, C)``."""
    grey = luma(images) / np.float32(255)
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    difference = grey - np.median(border, axis=1)[:, None, None]
    inked: NDArray[np.float32] = np.abs(difference).astype(np.float32)
    return inked


def _measure(images: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    maximum = images.max(axis=(1, 2), initial=0).astype(np.float64)
    empty = maximum < _EMPTY
    images = np.where(empty[:, None, None], np.float32(0), images)
    total = images.sum(axis=(1, 2), dtype=np.float64)
    # An empty image has 0 / 0, which becomes nan below.
    with np.errstate(divide="ignore", invalid="ignore"):
        shapes = _moments(images, total)
        shapes["width"] = images.max(axis=1).sum(axis=1) / maximum
        shapes["height"] = images.max(axis=2).sum(axis=1) / maximum
        shapes["aspect"] = shapes["width"] / shapes["height"]
        shapes["stroke_width"] = _stroke_width(images)
    sizes = {
        "area": (images >= _HALF * maximum[:, None, None]).sum(axis=(1, 2)) * 1.0,
        "intensity": total,
    }
    values = {name: np.where(empty, np.nan, value) for name, value in shapes.items()}
    values |= {name: np.where(empty, 0.0, value) for name, value in sizes.items()}
    return {name: values[name].astype(np.float64) for name in ATTRIBUTES}


def _moments(images: NDArray[np.float32], total: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return centre and slant from the first and second moments of the ink."""
    _, height, width = images.shape
    x, y = np.arange(width) - (width - 1) / 2, (height - 1) / 2 - np.arange(height)
    by_column, by_row = images.sum(axis=1, dtype=np.float64), images.sum(axis=2, dtype=np.float64)
    centre_x, centre_y = by_column @ x / total, by_row @ y / total
    var_y = by_row @ y**2 / total - centre_y**2
    cov = np.einsum("nyx,y,x->n", images, y, x, optimize=True) / total - centre_x * centre_y
    slant = np.where(var_y > _FLAT, np.degrees(np.arctan2(cov, var_y)), 0.0)
    return {"centre_x": centre_x, "centre_y": centre_y, "slant": slant}


def _stroke_width(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return four times the mean distance to the edge: of a long strip its width w, or w + 1/w.

    The latter where w is odd and the image is not enlarged.
    """
    enlarged = _ENLARGED if max(images.shape[1:]) <= _SMALL else 1
    large = images
    if enlarged > 1:
        large = zoom(images, (1, enlarged, enlarged), order=1, grid_mode=True, mode="grid-constant")
    mask = large >= _HALF * large.max(axis=(1, 2), keepdims=True)
    mask &= large > 0
    # Stack the images with a margin of background between them, so that one transform serves all.
    mask = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    distance = distance_transform_edt(mask.reshape(-1, mask.shape[2])).reshape(mask.shape)
    # The transform measures to the centre of the next pixel outside: half a pixel too far.
    inside = np.where(mask, distance - _HALF, 0).sum(axis=(1, 2))
    width: NDArray[np.float64] = 4 * inside / mask.sum(axis=(1, 2)) / enlarged
    return width
