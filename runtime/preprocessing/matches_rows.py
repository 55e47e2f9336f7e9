"""Which rows of an array of grey images are laid out already, asked of all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.runtime.preprocessing.matches import BRIGHT, SEEN, SLACK, moments

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import Preprocessing

__all__ = ["rows_match_preprocessing"]


def rows_match_preprocessing(
    images: npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> npt.NDArray[np.bool_]:
    """Return for each image whether it matches the preprocessing.

    Args:
        images: uint8 ``(N, S, S)``.
        preprocessing: The bundle's preprocessing.

    Returns:
        bool ``(N,)``.
    """
    values = 255 - images if preprocessing.ink == "dark" else images
    size = images.shape[1]
    seen: npt.NDArray[np.bool_] = np.greater_equal(values, SEEN)
    rows, columns = _used(seen)
    top, tall = _extent(rows)
    left, wide = _extent(columns)
    longer = np.maximum(tall, wide)
    inked = np.ones(len(images), bool)
    if preprocessing.centre == "box":
        down, right = top + tall / 2, left + wide / 2
    else:
        sums = values.reshape(len(images), -1).astype(np.float32) @ moments(size)
        inked = sums[:, 0] > 0
        down, right = (sums[:, 1:] / np.maximum(sums[:, :1], 1)).T
    return np.asarray(
        inked
        & (preprocessing.box - 2 * SLACK <= longer)
        & (longer <= preprocessing.box + SLACK)
        & (abs(down - size / 2) <= SLACK)
        & (abs(right - size / 2) <= SLACK)
        & (values.max((1, 2)) >= BRIGHT)
    )


def _used(seen: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return for each image ``(S, S)`` which rows and which columns have a True: ``(N, S)`` each."""
    size = seen.shape[1]
    if size % 4:
        return np.asarray(seen.any(axis=2)), np.asarray(seen.any(axis=1))
    # Four at once, and no reduction along something short: that costs numpy more than what it reduces.
    words = np.ascontiguousarray(seen).view(np.uint32)
    rows = words[:, :, 0].copy()
    for place in range(1, size // 4):
        rows |= words[:, :, place]
    while words.shape[1] % 2 == 0:
        half = words.shape[1] // 2
        words = words[:, :half] | words[:, half:]
    return rows != 0, np.bitwise_or.reduce(words, axis=1).view(np.bool_)


def _extent(used: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first used place of each row of ``(N, S)``, and how many there are up to the last."""
    first = used.argmax(1)
    return first, used.shape[1] - used[:, ::-1].argmax(1) - first
