"""Whether the encoder recovers, from generated images, the codes that they were drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.export.evaluation.metrics.correlation import pearson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "CategoricalRecovery",
    "ContinuousRecovery",
    "categorical_recovery",
    "continuous_recovery",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalRecovery:
    """A categorical code, read back."""

    recovered: float
    """Share of images whose category is the one they were drawn from."""
    by_category: tuple[float | None, ...]
    """The same for each category; None for one that was not drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuousRecovery:
    """A continuous code, read back."""

    pearson_r: float
    """Correlation of the code with the encoder's mean."""
    mean_abs_error: float
    """Mean of |c - mean|; the code goes from -1 to 1, so 0.5 is what a constant 0 has."""
    mean_error: float
    """Mean of mean - c, the bias; 0 for an encoder that is not shifted."""
    mean_std: float
    """Mean of the standard deviation that the encoder gives."""
    within_one_std: float
    """Share of images with |c - mean| < std; 0.683 for a Gaussian that is right about itself."""
    pearson_r_by_category: Mapping[str, tuple[float, ...]]
    """The correlation within each category, by categorical code."""


def categorical_recovery(
    drawn: NDArray[np.int64], found: NDArray[np.int64], num_categories: int
) -> CategoricalRecovery:
    """Compare the categories drawn ``(N,)`` with those found ``(N,)``; N is at least 1."""
    right = drawn == found
    shares = [right[drawn == k] for k in range(num_categories)]
    return CategoricalRecovery(
        recovered=float(right.mean()),
        by_category=tuple(float(share.mean()) if len(share) else None for share in shares),
    )


def continuous_recovery(
    drawn: NDArray[np.floating],
    mean: NDArray[np.floating],
    std: NDArray[np.floating],
    categories: Mapping[str, tuple[NDArray[np.int64], int]],
) -> ContinuousRecovery:
    """Compare a continuous code with the encoder's Gaussian.

    Args:
        drawn: ``(N,)``, from -1 to 1; N is at least 1.
        mean: ``(N,)``.
        std: ``(N,)``, above 0.
        categories: By categorical code, the category drawn for each image ``(N,)`` and how many there are.
    """
    error = np.asarray(mean, np.float64) - drawn
    by_category = {
        code: tuple(pearson(drawn[which == k], mean[which == k]) for k in range(number))
        for code, (which, number) in categories.items()
    }
    return ContinuousRecovery(
        pearson_r=pearson(drawn, mean),
        mean_abs_error=float(np.abs(error).mean()),
        mean_error=float(error.mean()),
        mean_std=float(np.mean(std, dtype=np.float64)),
        within_one_std=float((np.abs(error) < std).mean()),
        pearson_r_by_category=by_category,
    )
