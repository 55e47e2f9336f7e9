"""FactorVAE and BetaVAE: in groups, or pairs, of images that share one factor, which code shows it?

``codes`` and ``factors`` are those of :mod:`~infogan_tool.export.evaluation.metrics.factor_information`. Each
group takes the next factor in turn and one of its levels at random, and images with this level at random,
without repetition where there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.factor_information import Codes

GROUPS: Final = 500
GROUP_SIZE: Final = 100
"""Images of a group; as published with InfoGAN-CR (arXiv:1906.06034), like the number of groups."""
_DEAD: Final = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Votes:
    """The FactorVAE score and the votes behind it."""

    score: float
    """Share of the groups whose factor is the most frequent one of their vote, 0 to 1."""
    active_codes: int
    """Number of codes that vary at all; the others get no votes."""
    votes: tuple[tuple[int, ...], ...]
    """Number of groups by code (rows) and factor (columns)."""


def factor_vae(
    codes: Codes,
    factors: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    groups: int = GROUPS,
    group_size: int = GROUP_SIZE,
) -> Votes:
    """Return the FactorVAE score (Kim and Mnih, arXiv:1802.05983, section 4).

    In each group, the code that varies least, relative to how it varies over all images, votes for the
    group's factor. A continuous code varies by its variance. A categorical one, with its most probable
    category, varies by the share of pairs that differ, as in the appendix of that paper. The majority of each
    code is taken over the same groups that are scored.
    """
    values = [code if code.ndim == 1 else np.eye(code.shape[1])[code.argmax(axis=1)] for code in codes]
    overall = np.array([_dispersion(value[None])[0] for value in values])
    active = overall > _DEAD
    votes = np.zeros((len(values), factors.shape[1]), np.int64)
    if not active.any():
        return Votes(score=0.0, active_codes=0, votes=tuple(map(tuple, votes.tolist())))
    sampled = list(_groups(factors, rng, groups, group_size))
    rows, fixed = np.stack([rows for rows, _ in sampled]), np.array([factor for _, factor in sampled])
    relative = np.full((len(values), groups), np.inf)
    for index in np.flatnonzero(active):
        relative[index] = _dispersion(values[index][rows]) / overall[index]
    np.add.at(votes, (relative.argmin(axis=0), fixed), 1)
    return Votes(
        score=float(votes.max(axis=1).sum() / groups),
        active_codes=int(active.sum()),
        votes=tuple(map(tuple, votes.tolist())),
    )


def beta_vae(codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator) -> float:
    """Return the BetaVAE score (Higgins et al., 2017, section 3).

    The two images of a pair share a level of one factor, any level of it. From the mean absolute differences
    of the codes over the pairs of a group, a linear classifier (logistic regression on standardised values)
    predicts the group's factor. A categorical code counts with its probabilities. The score is the accuracy
    on as many other groups.
    """
    values, members = np.column_stack(list(codes)), _members(factors)
    features, fixed = [], []
    for index in range(2 * GROUPS):
        levels = members[index % len(members)]
        chosen = rng.integers(len(levels), size=GROUP_SIZE // 2)
        pairs = np.stack([_draw(levels[level], 2, rng) for level in chosen])
        features.append(np.abs(values[pairs[:, 0]] - values[pairs[:, 1]]).mean(axis=0))
        fixed.append(index % len(members))
    if len(set(fixed[:GROUPS])) == 1:
        return 1.0
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(np.stack(features[:GROUPS]), fixed[:GROUPS])
    return float(classifier.score(np.stack(features[GROUPS:]), fixed[GROUPS:]))


def _dispersion(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the variance of each group of ``(groups, n)``, or the sum over k of ``(groups, n, k)``."""
    variance: NDArray[np.float64] = np.var(values, axis=1, ddof=1, dtype=np.float64)
    if variance.ndim > 1:
        variance = variance.sum(axis=1)
    return variance


def _groups(
    factors: NDArray[np.int64], rng: np.random.Generator, groups: int, size: int
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield the images ``(size,)`` of each group, and the factor that they share."""
    members = _members(factors)
    for index in range(groups):
        levels = members[index % len(members)]
        yield _draw(levels[rng.integers(len(levels))], size, rng), index % len(members)


def _members(factors: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
    """Return the images of each level of each factor."""
    return [[np.flatnonzero(factor == level) for level in np.unique(factor)] for factor in factors.T]


def _draw(images: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(images, size, replace=len(images) < size)
