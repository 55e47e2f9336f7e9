"""Detect images that already match the preprocessing, which therefore keep their values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.spec import Preprocessing

VISIBLE: Final = 32
"""A pixel darker than this, of 255, belongs to the background."""
_BRIGHT: Final = 200
"""Least value of an object's brightest pixel."""
_TOLERANCE: Final = 1.0
"""Pixels by which the size and the centre of an object may differ from the preprocessing."""


def matches_preprocessing(
    images: npt.NDArray[np.uint8], preprocessing: Preprocessing | None
) -> npt.NDArray[np.bool_]:
    """Return which images look like the output of the preprocessing.

    The background is black, the object is bright and as long as the box, and its centre is the image's
    centre, all to within a pixel. Every image of MNIST is so.

    Args:
        images: uint8 ``(N, S, S)``, grey.
        preprocessing: The bundle's preprocessing; None: there is none, which every image matches.

    Returns:
        bool ``(N,)``; N may be 0.
    """
    if preprocessing is None:
        return np.ones(len(images), bool)
    values = 255 - images if preprocessing.ink == "dark" else images
    count, size = images.shape[:2]
    # Counts of visible pixels by row and column, as matrix products: faster than reductions along short axes.
    visible = (values >= VISIBLE).astype(np.float32)
    ones = np.ones(size, np.float32)
    top, height = _extent(visible @ ones > 0)
    left, width = _extent(ones @ visible > 0)
    longer = np.maximum(height, width)
    matches: npt.NDArray[np.bool_] = values.max((1, 2)) >= _BRIGHT
    matches &= (preprocessing.box - 2 * _TOLERANCE <= longer) & (longer <= preprocessing.box + _TOLERANCE)
    if preprocessing.centre == "box":
        centres = np.stack([top + height / 2, left + width / 2], axis=1)
    else:
        sums = (values.reshape(count, size * size).astype(np.float32) @ _moments(size)).astype(np.float64)
        centres = sums[:, 1:] / np.maximum(sums[:, :1], 1)
    matches &= (np.abs(centres - size / 2) <= _TOLERANCE).all(axis=1)
    return matches


def _extent(used: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first True of each row of ``(N, S)``, and the distance to one past the last."""
    first = used.argmax(1)
    return first, used.shape[1] - used[:, ::-1].argmax(1) - first


@lru_cache(maxsize=4)
def _moments(size: int) -> npt.NDArray[np.float32]:
    """Return weights ``(size * size, 3)`` that sum pixels to their mass and its moments by row and column."""
    rows, columns = np.indices((size, size), np.float32)
    return np.stack([np.ones_like(rows), rows, columns], axis=-1).reshape(-1, 3)
