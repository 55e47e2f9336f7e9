"""Connected components of a mask, in numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def label_components(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], int]:
    """Label the 8-connected components of a mask ``(H, W)``.

    The classical two-pass algorithm on runs of pixels: touching runs of neighbouring rows are joined, and the
    smallest label of each component is spread by pointer jumping.

    Returns:
        int32 ``(H, W)``, 0 outside and 1 to n inside, and n.
    """
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]  # one past the last pixel
    labels = np.zeros((height, width), np.int32)
    if not len(rows):
        return labels, 0
    upper, lower = _touching(rows, starts, ends, width)
    numbers = _unite(len(rows), upper, lower)
    roots, of_run = np.unique(numbers, return_inverse=True)
    labels[mask] = np.repeat(of_run + 1, ends - starts)
    return labels, len(roots)


def _touching(
    rows: npt.NDArray[np.intp], starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp], width: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pairs of runs of neighbouring rows that touch, corners included."""
    # Positions of the runs on one line, with a gap after each row so that rows cannot touch.
    step = width + 2
    begin, end = rows * step + starts, rows * step + ends
    # In the row below: from the first run that ends at or after this start to the last that begins by this
    # end.
    first = np.searchsorted(end, begin + step, side="left")
    last = np.searchsorted(begin, end + step, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, np.repeat(first, counts) + offsets


def _unite(count: int, one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return for each of ``count`` items the smallest item of its component."""
    parent = np.arange(count)
    while True:
        a, b = parent[one], parent[other]
        low, high = np.minimum(a, b), np.maximum(a, b)
        if np.array_equal(low, high):
            return parent
        np.minimum.at(parent, high, low)
        while not np.array_equal(shorter := parent[parent], parent):
            parent = shorter
