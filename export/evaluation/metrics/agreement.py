"""Agreement of trained models with each other, which ranks them without labels.

Models that found the factors of the data agree with each other; those that did not are each wrong in their
own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.correlation import spearman

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SMALL: Final = 1e-9
_RESAMPLES: Final = 2000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InferredCodes:
    """What an encoder infers from N images."""

    continuous: NDArray[np.floating]
    """``(N, C)``: the mean of each continuous code."""
    categories: NDArray[np.int64]
    """``(N, K)``: the most probable category of each categorical code."""
    sizes: tuple[int, ...]
    """Number of categories of each categorical code."""


def group_variances(codes: InferredCodes, group_size: int) -> Floats:
    """Return the variance of each code within groups, relative to that over all images.

    The variance of a categorical code is the probability that two images differ in it.

    Args:
        codes: Of images that are sorted by group.
        group_size: Images of a group.

    Returns:
        ``(groups, K + C)``, categorical codes first; infinite for a code that does not vary at all.
    """
    columns = []
    for column, size in zip(codes.categories.T, codes.sizes, strict=True):
        shares = np.eye(size)[column].reshape(-1, group_size, size).mean(axis=1)
        columns.append(_relative(1 - (shares**2).sum(axis=1), 1 - (shares.mean(axis=0) ** 2).sum()))
    columns += [
        _relative(values.reshape(-1, group_size).var(axis=1), values.var())
        for values in np.asarray(codes.continuous, np.float64).T
    ]
    return np.stack(columns, axis=1)


def _relative(within: Floats, overall: float) -> Floats:
    return within / overall if overall > _SMALL else np.full(len(within), np.inf)


def vote_accuracy(variances: Floats, factors: NDArray[np.int64]) -> float:
    """Return the FactorVAE score (arXiv:1802.05983, section 4) of groups in which one factor is fixed.

    Each group votes for the code of the least variance. The code decides the factor by the majority of the
    even groups; the score is the share of the odd groups for which that is right.

    Args:
        variances: ``(groups, codes)``.
        factors: ``(groups,)``: the index of the factor that is fixed.
    """
    if not np.isfinite(variances).any():
        return 0.0
    votes = np.zeros((variances.shape[1], factors.max() + 1), np.int64)
    winner = variances.argmin(axis=1)
    np.add.at(votes, (winner[::2], factors[::2]), 1)
    return float((votes.argmax(axis=1)[winner[1::2]] == factors[1::2]).mean())


def model_centrality(scores: Floats) -> Floats:
    """Return ModelCentrality (InfoGAN-CR, arXiv:1906.06034, section 4) of each model ``(n,)``.

    It is the mean similarity of a model with the others, which is the mean of both of their scores.

    Args:
        scores: ``(n, n)``: the score of model i with the codes of model j as the truth.
    """
    similarity = (scores + scores.T) / 2
    return np.asarray((similarity.sum(axis=1) - np.diag(similarity)) / (len(scores) - 1))


def first_shares(similarity: Floats, rng: np.random.Generator) -> Floats:
    """Return how often each model comes first ``(n,)`` if the models that it is compared with are resampled.

    Args:
        similarity: ``(n, n)``, symmetric; the diagonal is not used.
        rng: Source of the resamples.
    """
    count = len(similarity)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES).astype(np.float64)
    others = similarity - np.diag(np.diag(similarity))
    total = weights.sum(axis=1, keepdims=True) - weights
    mean = np.where(total > 0, weights @ others / np.where(total > 0, total, 1), -np.inf)
    best = mean.max(axis=1, keepdims=True) - mean < _SMALL  # a tie counts for each in part
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


def association(first: InferredCodes, second: InferredCodes) -> Floats:
    """Return the association of every code of one model with every code of another, 0 to 1.

    It is the absolute rank correlation of two continuous codes, the correlation ratio of a continuous and a
    categorical one, and Cramer's V of two categorical ones.

    Returns:
        ``(K + C, K' + C')``, categorical codes first.
    """
    rows = [*_columns(first)]
    return np.array([[_associate(one, other) for other in _columns(second)] for one in rows])


def _columns(codes: InferredCodes) -> list[NDArray[np.floating]]:
    """Return each code: a categorical one as indicators ``(N, k)``, a continuous one as values ``(N,)``."""
    categorical = [np.eye(k)[column] for column, k in zip(codes.categories.T, codes.sizes, strict=True)]
    return [*categorical, *np.asarray(codes.continuous, np.float64).T]


def _associate(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    if one.ndim == other.ndim == 1:
        return abs(spearman(one, other))
    if one.ndim < other.ndim:
        one, other = other, one
    counts = one.sum(axis=0)
    if other.ndim == 1:
        variance = float(other.var())
        means = one.T @ other / counts.clip(1)
        between = float((counts * (means - other.mean()) ** 2).sum()) / len(other)
        return (between / variance) ** 0.5 if variance > _SMALL else 0.0
    expected = np.outer(counts, other.sum(axis=0)) / len(other)
    chi2 = ((one.T @ other - expected) ** 2 / expected.clip(_SMALL)).sum()
    used = min(int((counts > 0).sum()), int((other.sum(axis=0) > 0).sum())) - 1
    return float((chi2 / len(other) / used) ** 0.5) if used > 0 else 0.0


def relative_strength(table: Floats, informative: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> float:
    """Return the pairwise score of UDR (arXiv:1905.12614, section 4.2) of two models, 0 to 1.

    It is large if each informative code of one model is associated with a single code of the other.

    Args:
        table: ``(a, b)``: association of their codes.
        informative: Which codes of each model carry information ``(a,)`` and ``(b,)``.
    """
    total = 0.0
    for values, used in ((table, informative[1]), (table.T, informative[0])):
        strength = values.max(axis=0) ** 2 / values.sum(axis=0).clip(_SMALL)
        total += float((strength * used).sum())
    count = int(informative[0].sum() + informative[1].sum())
    return total / count if count else 0.0


def unsupervised_ranking(scores: Floats) -> Sequence[float]:
    """Return UDR of each model: the median of its pairwise scores ``(n, n)`` with the others."""
    return [float(np.median(np.delete(row, index))) for index, row in enumerate(scores)]
