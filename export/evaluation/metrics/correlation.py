"""Correlation, as a whole and within groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["LEAST_IN_GROUP", "pearson", "spearman", "within_groups"]

LEAST_IN_GROUP: Final = 10
"""A group with fewer images is left out: its correlation would be chance."""
_FLAT: Final = 1e-9
"""A standard deviation that is this small next to the values is rounding: nothing varies."""


def pearson(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Return Pearson's r of ``x (N,)`` and ``y (N,)``, from -1 to 1; 0 where one of them does not vary."""
    if len(x) < 2:  # noqa: PLR2004 - one point has no direction
        return 0.0
    first, second = (np.asarray(v, np.float64) for v in (x, y))
    if any(v.std() <= _FLAT * np.abs(v).max() for v in (first, second)):
        return 0.0
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


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

    What differs *between* groups does not count: a code that says the same as the category explains nothing
    within one. Images where ``x`` or ``y`` is not a number are left out, and groups with fewer than ten
    others.

    Args:
        x: ``(N,)``.
        y: ``(N,)``.
        groups: ``(N,)``, the group of each image.
        measure: :func:`pearson` or :func:`spearman`.

    Returns:
        From -1 to 1; None where no group is left.
    """
    usable = np.isfinite(x) & np.isfinite(y)
    found, counts = [], []
    for group in np.unique(groups):
        rows = usable & (groups == group)
        if rows.sum() >= LEAST_IN_GROUP:
            found.append(measure(x[rows], y[rows]))
            counts.append(int(rows.sum()))
    return float(np.average(found, weights=counts)) if found else None
