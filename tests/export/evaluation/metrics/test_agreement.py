"""Agreement of models: votes, ModelCentrality, UDR, and the share of resamples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.export.evaluation.metrics.agreement import (
    InferredCodes,
    association,
    first_shares,
    group_variances,
    model_centrality,
    orthonormal_features,
    relative_strength,
    unsupervised_ranking,
    vote_accuracy,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUP = 20


def inferred(
    continuous: NDArray[np.float64],
    categories: NDArray[np.int64] | None = None,
    periodic: tuple[int, ...] = (),
) -> InferredCodes:
    count = len(continuous)
    chosen = np.zeros((count, 0), np.int64) if categories is None else categories[:, None]
    sizes = () if categories is None else (4,)
    return InferredCodes(continuous=continuous, categories=chosen, sizes=sizes, periodic=periodic)


def associated(first: InferredCodes, second: InferredCodes) -> NDArray[np.float64]:
    return association(orthonormal_features(first), orthonormal_features(second))


def with_fixed_factors(
    rng: np.random.Generator, groups: int = 60
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return three factors of groups in which one is fixed, and its index."""
    which = np.repeat(np.arange(3), groups)
    values = rng.uniform(-1, 1, (3 * groups, GROUP, 3))
    for group, factor in enumerate(which):
        values[group, :, factor] = values[group, 0, factor]
    return values.reshape(-1, 3), which


def test_votes_of_perfect_rotated_useless_and_dead_codes() -> None:
    rng = np.random.default_rng(0)
    factors, which = with_fixed_factors(rng)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    scores = {
        name: vote_accuracy(group_variances(inferred(codes), GROUP), which)
        for name, codes in {
            "perfect": factors,
            "permuted": -3 * factors[:, [2, 0, 1]],
            "rotated": factors @ turn,
            "useless": rng.standard_normal(factors.shape),
            "dead": np.zeros(factors.shape),
            "one dead": factors * [1, 1, 0],
        }.items()
    }
    assert scores["perfect"] == scores["permuted"] == 1.0
    assert scores["useless"] < 0.5
    assert scores["dead"] == 0.0
    assert 0.6 < scores["one dead"] < 0.72, "the third factor has no code"
    assert scores["useless"] < scores["rotated"] < 1.0


def test_variance_of_a_categorical_code() -> None:
    rng = np.random.default_rng(1)
    factors, which = with_fixed_factors(rng)
    first = np.digitize(factors[:, 0], [-0.5, 0, 0.5])
    codes = inferred(factors[:, 1:], first)
    variances = group_variances(codes, GROUP)
    assert variances.shape == (180, 3)
    np.testing.assert_allclose(variances[which == 0, 0], 0, atol=1e-12)
    assert vote_accuracy(variances, which) == 1.0


def test_variance_of_a_periodic_code() -> None:
    rng = np.random.default_rng(7)
    codes = np.stack([rng.uniform(-1, 1, 40 * GROUP), rng.uniform(-1, 1, 40 * GROUP)], axis=1)
    codes[: 20 * GROUP, 0] = np.repeat(np.linspace(-1, 1, 20), GROUP) + rng.normal(0, 0.05, 20 * GROUP)
    codes[:, 0] -= 2 * np.round(codes[:, 0] / 2)
    variances = group_variances(inferred(codes, periodic=(0,)), GROUP)
    assert variances[:20, 0].max() < 0.1, "also of the groups at the ends, which are the same"
    assert variances[20:, 0].min() > 0.6
    plain = group_variances(inferred(codes), GROUP)
    assert plain[0, 0] > 1, "where the code is not said to be periodic"
    np.testing.assert_array_equal(plain[:, 1], variances[:, 1])


def test_model_centrality_is_the_mean_of_both_directions() -> None:
    scores = np.array([[1.0, 0.8, 0.2], [0.6, 1.0, 0.4], [0.0, 0.2, 1.0]])
    np.testing.assert_allclose(model_centrality(scores), [(0.7 + 0.1) / 2, (0.7 + 0.3) / 2, (0.1 + 0.3) / 2])


def test_first_shares() -> None:
    rng = np.random.default_rng(2)
    clear = np.full((5, 5), 0.3)
    clear[0] = clear[:, 0] = 0.9
    shares = first_shares(clear, rng)
    assert shares[0] > 0.95
    np.testing.assert_allclose(shares.sum(), 1)
    even = first_shares(np.full((4, 4), 0.5), rng)
    np.testing.assert_allclose(even, 0.25, atol=0.03)


def test_association_of_each_kind() -> None:
    rng = np.random.default_rng(3)
    values, groups = rng.uniform(-1, 1, (4000, 2)), rng.integers(0, 4, 4000)
    first = inferred(np.stack([values[:, 0], groups + 0.0], axis=1), groups)
    second = inferred(np.stack([-np.exp(values[:, 0]), values[:, 1]], axis=1), (groups + 1) % 4)
    table = associated(first, second)
    assert table.shape == (3, 3)
    assert table[0, 0] == pytest.approx(1), "categories in another order"
    assert table[1, 1] == pytest.approx(1), "a monotonic function"
    assert table[2, 0] == pytest.approx(1), "values that repeat the category"
    assert table[0, 1:].max() < 0.1
    assert table[1, [0, 2]].max() < 0.1
    constant = inferred(np.zeros((4000, 2)), np.zeros(4000, np.int64))
    np.testing.assert_allclose(associated(constant, second), 0, atol=1e-9)


def test_association_of_a_periodic_code() -> None:
    rng = np.random.default_rng(8)
    angle, groups = rng.uniform(-1, 1, 4000), rng.integers(0, 4, 4000)
    turned = angle + 0.6 - 2 * np.round((angle + 0.6) / 2)
    first = inferred(angle[:, None], groups, (0,))
    second = inferred(
        np.stack([-turned, np.cos(np.pi * angle), rng.uniform(-1, 1, 4000)], axis=1), periodic=(0,)
    )
    table = associated(first, second)
    assert table[1, 0] == pytest.approx(1), "another beginning and the other way round"
    assert 0.95 < table[1, 1] < 1, "ranks of the cosine"
    assert max(table[1, 2], table[0].max()) < 0.1
    plain = associated(inferred(angle[:, None]), inferred(-turned[:, None]))
    assert plain[0, 0] < 0.5, "where neither is said to be periodic"


def test_udr_prefers_single_counterparts() -> None:
    rng = np.random.default_rng(4)
    factors, turn = rng.uniform(-1, 1, (3000, 3)), np.linalg.qr(rng.standard_normal((3, 3)))[0]
    models = [factors, -factors[:, [1, 2, 0]], factors @ turn]
    every = np.ones(3, bool)
    scores = np.array(
        [
            [relative_strength(associated(inferred(a), inferred(b)), (every, every)) for a in models]
            for b in models
        ]
    )
    assert scores[0, 1] > 0.9
    np.testing.assert_allclose(scores, scores.T)
    ranking = unsupervised_ranking(scores)
    assert ranking[2] < min(ranking[:2])
    assert relative_strength(np.ones((3, 3)), (~every, ~every)) == 0.0
