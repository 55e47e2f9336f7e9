"""Agreement of trained models with each other, which ranks them without labels.

Models that found the factors of the data agree with each other; those that did not are each wrong in their
own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata

from infogan_tool.runtime.latents.spec import PERIOD

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
    periodic: tuple[int, ...] = ()
    """Positions of the periodic codes among the continuous ones."""

    def features(self) -> list[Floats]:
        """Return each code as ``(N, d)``, categorical codes first.

        A categorical code as indicators, a periodic one as points of the unit circle, another as it is.
        """
        features = [np.eye(k)[column] for column, k in zip(self.categories.T, self.sizes, strict=True)]
        for i, values in enumerate(np.asarray(self.continuous, np.float64).T):
            angle = values * (2 * np.pi / PERIOD)
            point = [np.cos(angle), np.sin(angle)] if i in self.periodic else [values]
            features.append(np.stack(point, axis=1))
        return features


def group_variances(codes: InferredCodes, group_size: int) -> Floats:
    """Return the variance of each code within groups, relative to that over all images.

    The variance of a categorical code is the probability that two images differ in it, that of a periodic
    one the variance of points of the circle.

    Args:
        codes: Of images that are sorted by group.
        group_size: Images of a group.

    Returns:
        ``(groups, K + C)``, categorical codes first; infinite for a code that does not vary at all.
    """
    columns = []
    for values in codes.features():
        within = values.reshape(-1, group_size, values.shape[1]).var(axis=1).sum(axis=1)
        overall = values.var(axis=0).sum()
        columns.append(within / overall if overall > _SMALL else np.full(len(within), np.inf))
    return np.stack(columns, axis=1)


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


def orthonormal_features(codes: InferredCodes) -> list[Floats]:
    """Return an orthonormal basis ``(N, r)`` of the features of each code, without their means.

    A continuous code that is not periodic is replaced by its ranks. r is 0 for a code that does not vary.
    """
    bases = []
    for values in codes.features():
        ranked = rankdata(values, axis=0) / len(values) if values.shape[1] == 1 else values
        left, singular, _ = np.linalg.svd(ranked - ranked.mean(axis=0), full_matrices=False)
        bases.append(left[:, singular > _SMALL * len(values) ** 0.5])
    return bases


def association(first: Sequence[Floats], second: Sequence[Floats]) -> Floats:
    """Return the association of every code of one model with every code of another, 0 to 1.

    It is the root mean square of the canonical correlations of their features: the absolute rank correlation
    of two continuous codes, the correlation ratio of the ranks of a continuous code and a categorical one,
    Cramer's V of two categorical ones, and likewise where one is periodic.

    Args:
        first: :func:`orthonormal_features` of one model.
        second: Those of the other, of the same images.

    Returns:
        ``(K + C, K' + C')``, categorical codes first.
    """
    squares = [[((a.T @ b) ** 2).sum() / max(1, min(a.shape[1], b.shape[1])) for b in second] for a in first]
    return np.asarray(np.sqrt(np.clip(squares, 0, 1)), np.float64)


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
