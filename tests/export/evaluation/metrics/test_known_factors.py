"""Every score of known factors, for perfect, useless, duplicated, rotated and dead codes."""

from __future__ import annotations

import numpy as np
import pytest
from factor_codes import ORDERED, SIZES, codes, factors

from infogan_tool.export.evaluation.metrics import factor_information as information
from infogan_tool.export.evaluation.metrics.factor_prediction import concentration, dci, explicitness, sap
from infogan_tool.export.evaluation.metrics.fixed_factor import beta_vae, factor_vae
from infogan_tool.export.evaluation.metrics.infomec import infomec

LEVELS = factors()[:2000]
KINDS = {kind: codes(kind, LEVELS) for kind in ("perfect", "useless", "duplicated", "rotated", "dead")}


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


# --- FactorVAE and BetaVAE -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("perfect", 1, 1),
        ("dead", 1, 1),
        ("duplicated", 1, 1),
        ("rotated", 0.6, 0.99),
        ("useless", 0.25, 0.36),
    ],
)
def test_factor_vae(kind: str, low: float, high: float) -> None:
    found = factor_vae(KINDS[kind], LEVELS, rng())
    assert low <= found.score <= high
    votes = np.array(found.votes)
    assert votes.shape == (len(KINDS[kind]), 4)
    np.testing.assert_array_equal(votes.sum(axis=0), [125] * 4)  # the factors take turns
    assert found.active_codes == (4 if kind == "dead" else len(KINDS[kind]))
    if kind == "perfect":
        np.testing.assert_array_equal(votes, 125 * np.eye(4, dtype=int))
    if kind == "dead":
        assert not votes[-1].any()


def test_factor_vae_does_not_depend_on_scales_and_uses_the_most_probable_category() -> None:
    category, *styles = KINDS["rotated"]
    scaled = [1000 * styles[0] - 3, *styles[1:]]
    unsure = 0.4 * category + 0.2
    first = factor_vae([category, *styles], LEVELS, rng())
    assert factor_vae([unsure, *scaled], LEVELS, rng()).votes == first.votes


def test_factor_vae_without_an_active_code_is_zero() -> None:
    found = factor_vae([np.zeros(len(LEVELS))], LEVELS, rng())
    assert (found.score, found.active_codes, found.votes) == (0.0, 0, ((0,) * 4,))


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("perfect", 0.99, 1), ("rotated", 0.6, 1), ("useless", 0.15, 0.36)]
)
def test_beta_vae(kind: str, low: float, high: float) -> None:
    assert low <= beta_vae(KINDS[kind], LEVELS, rng()) <= high


def test_each_pair_of_beta_vae_has_its_own_level() -> None:
    """How much a code varies depends on the level of another factor: over many levels it hardly differs."""
    first, second = (LEVELS[:, factor] / 7 * (0.2 + LEVELS[:, 0]) for factor in (2, 3))
    assert 0.8 < beta_vae([first, second], LEVELS, rng()) < 0.9, "0.74 if all pairs of a group share one"


# --- information -----------------------------------------------------------------------------------------


def test_information_matrix_and_gap_of_exact_codes() -> None:
    exact = [np.eye(3)[LEVELS[:, 0]], *LEVELS[:, 1:].T.astype(float)]
    np.testing.assert_allclose(information.information_matrix(exact, LEVELS), np.eye(4), atol=0.02)
    np.testing.assert_allclose(information.entropies(LEVELS), np.log(SIZES), atol=0.01)
    found = information.mutual_information_gap(exact, LEVELS)
    assert found.score == pytest.approx(1, abs=0.02)
    assert found.by_factor == pytest.approx((1, 1, 1, 1), abs=0.02)
    assert information.modularity(exact, LEVELS) == pytest.approx(1, abs=0.001)
    # A second code of half of a factor's information halves the gap of this factor alone.
    half = [*exact, (LEVELS[:, 2] // 2 // 2).astype(float), (LEVELS[:, 3] // 4).astype(float)]
    gaps = information.mutual_information_gap(half, LEVELS).by_factor
    assert gaps == pytest.approx((1, 1, 2 / 3, 2 / 3), abs=0.02)


def test_one_code_has_its_whole_information_as_gap() -> None:
    found = information.mutual_information_gap([LEVELS[:, 1].astype(float)], LEVELS)
    assert found.by_factor == pytest.approx((0, 1, 0, 0), abs=0.02)


def test_information_of_perfect_useless_duplicated_and_rotated_codes() -> None:
    gap = {kind: information.mutual_information_gap(some, LEVELS).score for kind, some in KINDS.items()}
    assert gap["perfect"] > 0.99
    assert gap["dead"] == pytest.approx(gap["perfect"])
    assert gap["useless"] < 0.02
    assert gap["duplicated"] == pytest.approx(0.25, abs=0.01)  # the category alone is in one code
    assert 0.25 < gap["rotated"] < 0.6
    one = {kind: information.modularity(some, LEVELS) for kind, some in KINDS.items()}
    assert one["perfect"] == pytest.approx(1, abs=0.001)
    assert one["dead"] == pytest.approx(one["perfect"])
    assert one["duplicated"] > 0.999
    assert one["rotated"] < 0.9
    assert information.modularity([np.zeros(len(LEVELS))], LEVELS) == 0


def test_discretise() -> None:
    np.testing.assert_array_equal(information.discretise(np.linspace(0, 1, 21)), [*range(1, 21), 20])
    np.testing.assert_array_equal(information.discretise(np.array([[0.2, 0.8], [0.6, 0.4]])), [1, 0])


# --- prediction ------------------------------------------------------------------------------------------


def test_dci() -> None:
    found = {
        kind: dci([code[:1000] for code in some], LEVELS[:1000], rng(), ordered=ORDERED)
        for kind, some in KINDS.items()
    }
    perfect, duplicated, rotated, useless = (
        found[kind] for kind in ("perfect", "duplicated", "rotated", "useless")
    )
    assert min(perfect.disentanglement, perfect.completeness) > 0.97
    assert perfect.informativeness > 0.98
    assert found["dead"].disentanglement == pytest.approx(perfect.disentanglement, abs=0.01)
    assert duplicated.disentanglement > 0.98
    assert duplicated.completeness < 0.85  # each factor is in two codes
    assert max(rotated.disentanglement, rotated.completeness) < 0.8
    assert max(useless.disentanglement, useless.completeness) < 0.15
    assert useless.informativeness < 0.15  # a third of the shapes, and nothing of the others


def test_concentration() -> None:
    assert concentration(np.eye(3)) == pytest.approx((1, 1))
    assert concentration(np.ones((3, 3))) == pytest.approx((0, 0))
    assert concentration(np.zeros((3, 3))) == (0, 0)
    # Two codes for one factor: each code is pure, the factor is not.
    assert concentration(np.array([[1.0, 0], [1, 0], [0, 1]])) == pytest.approx(
        (1, (2 * (1 - np.log(2) / np.log(3)) + 1) / 3)
    )
    # Weighted by importance: the impure code counts a quarter.
    assert concentration(np.array([[3.0, 0], [0.5, 0.5]]))[0] == pytest.approx(0.75)


def test_sap() -> None:
    found = {kind: sap(some, LEVELS, rng(), ordered=ORDERED) for kind, some in KINDS.items()}
    assert found["perfect"] > 0.9
    assert found["dead"] == pytest.approx(found["perfect"], abs=0.01)
    assert found["useless"] < 0.02
    assert found["duplicated"] == pytest.approx((found["perfect"] * 4 - 3) / 4, abs=0.05)
    assert 0.1 < found["rotated"] < 0.75
    # Of a category, R^2 is the share of the variance between its groups.
    category = [np.eye(6)[LEVELS[:, 1]]]
    assert sap(category, LEVELS[:, 1:2], rng(), ordered=[True]) == pytest.approx(1)
    assert sap(
        [np.eye(6)[LEVELS[:, 1]], np.eye(2)[(LEVELS[:, 1] > 2).astype(int)]],
        LEVELS[:, 1:2],
        rng(),
        ordered=[True],
    ) == pytest.approx(1 - 27 / 35, abs=0.02)


def test_explicitness() -> None:
    found = {kind: explicitness(KINDS[kind], LEVELS, rng()) for kind in ("perfect", "rotated", "useless")}
    assert found["perfect"] > 0.97
    assert found["rotated"] == pytest.approx(found["perfect"], abs=0.02)  # a linear map of the same codes
    assert found["useless"] == pytest.approx(0.5, abs=0.05)


def test_explicitness_of_a_factor_that_the_held_out_images_do_not_vary_is_chance() -> None:
    factors = np.zeros((200, 1), np.int64)
    factors[:6] = 1
    rare = np.random.default_rng(0).permutation(200)
    codes = [np.random.default_rng(1).standard_normal((200, 2))]
    found = [explicitness(codes, factors[rare], np.random.default_rng(seed)) for seed in range(40)]
    assert np.isfinite(found).all()
    assert 0.5 in found


def test_infomec() -> None:
    found = {kind: infomec(some, LEVELS, rng()) for kind, some in KINDS.items()}
    perfect, duplicated, rotated = (found[kind] for kind in ("perfect", "duplicated", "rotated"))
    assert min(perfect.modularity, perfect.compactness) > 0.95
    assert perfect.explicitness > 0.6
    assert (perfect.active_codes, found["dead"].active_codes, duplicated.active_codes) == (4, 4, 7)
    assert found["dead"].modularity == pytest.approx(perfect.modularity, abs=0.02)
    assert duplicated.modularity > 0.95
    assert duplicated.compactness < 0.65
    assert max(rotated.modularity, rotated.compactness) < 0.8
    assert found["useless"].explicitness < 0.02
    nothing = infomec([np.zeros(len(LEVELS))], LEVELS, rng())
    assert (nothing.modularity, nothing.compactness, nothing.active_codes) == (0, 0, 0)
    assert nothing.explicitness < 0.001


# --- all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [factor_vae, beta_vae, explicitness, infomec])
def test_a_seed_decides_and_no_input_changes(score) -> None:  # noqa: ANN001 - any of the functions
    some, levels = [code.copy() for code in KINDS["rotated"]], LEVELS.copy()
    first, again = (score(some, levels, np.random.default_rng(2)) for _ in range(2))
    assert first == again
    assert all(np.array_equal(a, b) for a, b in zip(some, KINDS["rotated"], strict=True))
    np.testing.assert_array_equal(levels, LEVELS)


@pytest.mark.parametrize("score", [dci, sap])
def test_a_seed_decides_predictions_too(score) -> None:  # noqa: ANN001 - any of the functions
    some = [code[:300] for code in KINDS["rotated"]]
    first, again = (score(some, LEVELS[:300], np.random.default_rng(2), ordered=ORDERED) for _ in range(2))
    assert first == again
