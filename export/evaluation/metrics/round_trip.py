"""Recovery of the codes of generated images by the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.export.evaluation.metrics.correlation import code_correlation
from infogan_tool.runtime.latents.spec import whole_periods

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalRecovery:
    """Recovery of a categorical code."""

    recovered: float
    """Share of images whose predicted category is the one that they were generated with."""
    by_category: tuple[float | None, ...]
    """The same for each category; None for one without images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinuousRecovery:
    """Recovery of a continuous code."""

    pearson_r: float
    """Correlation of the code with the encoder's mean; of a periodic code the mean cosine of their
    difference."""
    mean_abs_error: float
    """Mean of |c - mean|; a constant prediction of 0 has 0.5."""
    mean_error: float
    """Mean of mean - c: the bias."""
    mean_std: float
    """Mean of the predicted standard deviation."""
    within_one_std: float
    """Share of images with |c - mean| < std; 0.683 for a calibrated Gaussian."""
    pearson_r_by_category: Mapping[str, tuple[float, ...]]
    """The correlation within each category, by categorical code."""


def categorical_recovery(
    sampled: NDArray[np.int64], predicted: NDArray[np.int64], num_categories: int
) -> CategoricalRecovery:
    """Compare the sampled and the predicted categories ``(N,)``; N is at least 1."""
    right = sampled == predicted
    shares = [right[sampled == k] for k in range(num_categories)]
    return CategoricalRecovery(
        recovered=float(right.mean()),
        by_category=tuple(float(share.mean()) if len(share) else None for share in shares),
    )


def continuous_recovery(
    sampled: NDArray[np.floating],
    mean: NDArray[np.floating],
    std: NDArray[np.floating],
    categories: Mapping[str, tuple[NDArray[np.int64], int]],
    *,
    periodic: bool = False,
) -> ContinuousRecovery:
    """Compare a continuous code with the encoder's Gaussian.

    Args:
        sampled: ``(N,)``, from -1 to 1; N is at least 1.
        mean: ``(N,)``.
        std: ``(N,)``, above 0.
        categories: By categorical code, the sampled category of each image ``(N,)`` and the number of
            categories.
        periodic: Whether the code's ends are the same; an error is then at most 1.
    """
    error = np.asarray(mean, np.float64) - sampled
    if periodic:
        error -= whole_periods(error)
    measure = partial(code_correlation, periodic=periodic)
    by_category = {
        code: tuple(measure(sampled[which == k], mean[which == k]) for k in range(number))
        for code, (which, number) in categories.items()
    }
    return ContinuousRecovery(
        pearson_r=measure(sampled, mean),
        mean_abs_error=float(np.abs(error).mean()),
        mean_error=float(error.mean()),
        mean_std=float(np.mean(std, dtype=np.float64)),
        within_one_std=float((np.abs(error) < std).mean()),
        pearson_r_by_category=by_category,
    )
