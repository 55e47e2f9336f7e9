"""InfoMEC (Hsu et al., arXiv:2305.18378): modularity, explicitness and compactness from information.

``codes`` and ``factors`` are those of :mod:`~infogan_tool.export.evaluation.metrics.factor_information`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from infogan_tool.export.evaluation.metrics.factor_information import entropies
from infogan_tool.export.evaluation.metrics.factor_prediction import MAX_IMAGES, linear_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.factor_information import Codes

_NEIGHBOURS: Final = 3
_INACTIVE: Final = 1 / 8
"""A continuous code whose range is smaller than this share of the widest one's is inactive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoMec:
    """The three parts, each from 0 to 1."""

    modularity: float
    """InfoM: 1 where each code has information about one factor alone."""
    explicitness: float
    """InfoE: share of the factors' entropy that logistic regression on all codes removes."""
    compactness: float
    """InfoC: 1 where information about each factor is in one code alone."""
    active_codes: int
    """Number of codes that are not inactive; the others are left out of modularity and compactness."""


def infomec(codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator) -> InfoMec:
    """Return InfoMEC.

    Information of a continuous code is estimated from its 3 nearest neighbours (Ross 2014, as scikit-learn's
    ``mutual_info_classif``), that of a categorical code from the counts of its most probable category.
    """
    order = rng.permutation(len(factors))[:MAX_IMAGES]
    some, levels, seed = [code[order] for code in codes], factors[order], int(rng.integers(2**31))
    ranges = [float(np.ptp(code)) if code.ndim == 1 else np.inf for code in some]
    widest = max((width for width in ranges if np.isfinite(width)), default=0.0)
    active = [
        code
        for code, width in zip(some, ranges, strict=True)
        if (width > _INACTIVE * widest if code.ndim == 1 else len(np.unique(code.argmax(axis=1))) > 1)
    ]
    shares = np.zeros((0, factors.shape[1]))
    if active:
        shares = np.array([[_information(code, factor, seed) for factor in levels.T] for code in active])
        shares /= entropies(levels)
    return InfoMec(
        modularity=_peak(shares),
        explicitness=_explicitness(codes, factors, rng),
        compactness=_peak(shares.T),
        active_codes=len(active),
    )


def _information(code: NDArray[np.floating], factor: NDArray[np.int64], seed: int) -> float:
    if code.ndim > 1:
        return float(mutual_info_score(factor, code.argmax(axis=1)))
    estimate = mutual_info_classif(code[:, None], factor, n_neighbors=_NEIGHBOURS, random_state=seed)
    return float(estimate[0])


def _peak(shares: NDArray[np.float64]) -> float:
    """Return the mean over rows of the greatest share of the row's sum, scaled so that an even row has 0."""
    sums = shares.sum(axis=1)
    if not (sums > 0).any():
        return 0.0
    if shares.shape[1] == 1:
        return 1.0
    peak = float(np.mean(shares.max(axis=1)[sums > 0] / sums[sums > 0]))
    even = 1.0 / float(shares.shape[1])
    excess: float = (peak - even) / (1 - even)
    return excess


def _explicitness(codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator) -> float:
    removed = []
    for levels, truth, probabilities, blind in linear_predictions(codes, factors, rng):
        column = np.searchsorted(levels, truth)
        losses = [
            -np.log(np.maximum(part[np.arange(len(truth)), column], np.finfo(np.float64).tiny)).mean()
            for part in (probabilities, blind)
        ]
        removed.append(max(0.0, 1 - losses[0] / losses[1]))
    return float(np.mean(removed))
