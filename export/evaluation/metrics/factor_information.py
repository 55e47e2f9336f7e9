"""Information between codes and known factors: the matrix, MIG, modularity.

In all metrics of known factors, ``codes`` has one array for each code: ``(N,)`` values of a continuous code,
or ``(N, k)`` probabilities of a categorical one. An array ``(N, d)`` of continuous codes is passed as its
transpose. ``factors`` is ``(N, number of factors)``, the level of each image in each factor.

Here a continuous code is cut into 20 bins of equal width between its smallest and its greatest value, and a
categorical code counts with its most probable category. Information is that of the counts, in nats; it is too
great by about (bins - 1) (levels - 1) / (2 N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

Codes = Sequence["NDArray[np.floating]"]
"""One array for each code, ``(N,)`` or ``(N, k)``."""

BINS: Final = 20
"""Bins of a continuous code."""
_NONE: Final = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """The mutual information gap."""

    score: float
    """Mean over the factors, 0 to 1."""
    by_factor: tuple[float, ...]
    """Of each factor, in order."""


def discretise(code: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bin of each value of a continuous code, or the category of a categorical one, ``(N,)``."""
    if code.ndim > 1:
        return np.asarray(code.argmax(axis=1), np.int64)
    edges = np.histogram_bin_edges(np.asarray(code, np.float64), BINS)
    return np.asarray(np.digitize(code, edges[:-1]), np.int64)


def information_matrix(codes: Codes, factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return I(code; factor) / H(factor), ``(number of codes, number of factors)``, from 0 to 1.

    It is 0 of a factor that does not vary.
    """
    cut = [discretise(code) for code in codes]
    matrix = np.array([[mutual_info_score(factor, code) for factor in factors.T] for code in cut])
    return matrix / np.maximum(entropies(factors), _NONE)


def entropies(factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the entropy of each factor in nats."""
    return np.array([entropy(np.unique(factor, return_counts=True)[1]) for factor in factors.T])


def mutual_information_gap(codes: Codes, factors: NDArray[np.int64]) -> Gap:
    """Return MIG (Chen et al., arXiv:1802.04942, equation 6).

    For each factor, the information of the code that has most of it, less that of the code with the second
    most, as a share of the factor's entropy. It is 1 where each factor is in one code alone.
    """
    matrix = np.sort(np.vstack([information_matrix(codes, factors), np.zeros(factors.shape[1])]), axis=0)
    gaps = matrix[-1] - matrix[-2]
    return Gap(score=float(gaps.mean()), by_factor=tuple(gaps.tolist()))


def modularity(codes: Codes, factors: NDArray[np.int64]) -> float:
    """Return modularity (Ridgeway and Mozer, arXiv:1802.05312, section 2).

    For each code, 1 less the squared information about all factors but its best one, relative to that of the
    best one times their number; the mean over the codes. It is 1 where each code has information about one
    factor alone. Codes without information are left out; 0 if there is no other, and 1 for a single factor.
    """
    if factors.shape[1] == 1:
        return 1.0
    squared = (information_matrix(codes, factors) * entropies(factors)) ** 2
    best = squared.max(axis=1)
    used = best > _NONE
    if not used.any():
        return 0.0
    others = squared[used].sum(axis=1) - best[used]
    return float((1 - others / (best[used] * (factors.shape[1] - 1))).mean())
