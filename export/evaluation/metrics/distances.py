"""Distances between two sets of feature vectors: generated and real images in the features of a network.

Frechet distance: Heusel et al., arXiv:1706.08500, equation 6, the distance of two Gaussians with the sets'
means and covariances. Kernel distance: Binkowski et al., arXiv:1801.01401, section 4, the unbiased squared
maximum mean discrepancy under the kernel (x.y / d + 1)^3. The papers use the features of Inception;
values in other features, such as a classifier's, compare only with values in the same features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.metrics.pairwise import polynomial_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS: Final = 1000
"""Rows of the kernel matrix in memory at a time."""


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)) of features ``(N, d)`` and ``(M, d)``.

    It is at least 0, and biased upwards for few images: N and M should be many times d, and the same
    wherever values are compared. N and M are at least 2.
    """
    a, b = (np.asarray(features, np.float64) for features in (first, second))
    cov_a, cov_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (a, b))
    root_a = _root(cov_a)
    # C1 C2 and C1^(1/2) C2 C1^(1/2) have the same eigenvalues; the latter is symmetric, so they stay real.
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0, None)).sum()
    distance = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return max(0.0, float(distance))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def kernel_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the unbiased MMD^2 of features ``(N, d)`` and ``(M, d)`` over all pairs; N and M at least 2.

    Its expectation is 0 for two sets from one distribution, so it may be slightly negative.
    """
    first, second = (np.asarray(features, np.float64) for features in (first, second))
    n, m = len(first), len(second)
    within = (_kernel_sum(first, first, diagonal=False) / (n * (n - 1))) + (
        _kernel_sum(second, second, diagonal=False) / (m * (m - 1))
    )
    return within - 2 * _kernel_sum(first, second, diagonal=True) / (n * m)


def _kernel_sum(first: NDArray[np.floating], second: NDArray[np.floating], *, diagonal: bool) -> float:
    """Sum the kernel over all pairs, without the pairs of a vector with itself unless ``diagonal``."""
    total = 0.0
    for start in range(0, len(first), _ROWS):
        part = first[start : start + _ROWS]
        total += float(polynomial_kernel(part, second, degree=3, coef0=1).sum())
    if not diagonal:
        squares = np.square(first).sum(axis=1)
        total -= float(((squares / first.shape[1] + 1) ** 3).sum())
    return total
