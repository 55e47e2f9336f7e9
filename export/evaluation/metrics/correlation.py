"""Correlation, as a whole and within groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata

from infogan_tool.runtime.bundle.self_check import correlation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MIN_GROUP: Final = 10
"""A group with fewer images is ignored: its correlation would be noise."""
_FLAT: Final = 1e-9
"""A standard deviation this small relative to the values is rounding error."""


def pearson(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Return Pearson's r of ``x (N,)`` and ``y (N,)``, from -1 to 1; 0 where one of them does not vary."""
    if len(x) < 2:  # noqa: PLR2004 - one point has no direction
        return 0.0
    first, second = (np.asarray(v, np.float64) for v in (x, y))
    if any(v.std() <= _FLAT * np.abs(v).max() for v in (first, second)):
        return 0.0
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


def code_correlation(codes: NDArray[np.floating], means: NDArray[np.floating], *, periodic: bool) -> float:
    """Return how well the encoder's means ``(N,)`` follow a code ``(N,)``: Pearson's r, or as angles."""
    return correlation(codes, means, periodic=True) if periodic else pearson(codes, means)


def spearman(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation likewise."""
    return pearson(rankdata(x), rankdata(y))


def within_groups(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    groups: NDArray[np.int64],
    measure: Callable[[NDArray[np.floating], NDArray[np.floating]], float] = pearson,
) -> float | None:
    """Return the mean over groups of the correlation inside each, weighted by its number of images.

    Differences *between* groups do not count: a code that only repeats the category explains nothing within
    one. Images where ``x`` or ``y`` is not finite are ignored, and so are groups with fewer than ten others.

    Args:
        x: ``(N,)``.
        y: ``(N,)``.
        groups: ``(N,)``, the group of each image.
        measure: :func:`pearson` or :func:`spearman`.

    Returns:
        From -1 to 1; None if no group is left.
    """
    found = by_group(x, y, groups, measure)
    weights = [count for _, count in found.values()]
    return float(np.average([r for r, _ in found.values()], weights=weights)) if found else None


def by_group(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    groups: NDArray[np.int64],
    measure: Callable[[NDArray[np.floating], NDArray[np.floating]], float] = pearson,
) -> dict[int, tuple[float, int]]:
    """Return the correlation and the number of images of each group that :func:`within_groups` averages."""
    usable = np.isfinite(x) & np.isfinite(y)
    found = {}
    for group in np.unique(groups).tolist():
        rows = usable & (groups == group)
        if rows.sum() >= MIN_GROUP:
            found[group] = measure(x[rows], y[rows]), int(rows.sum())
    return found
