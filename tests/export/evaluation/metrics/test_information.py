"""L_I and the round trip: encoders that know all, nothing, or are sure of the wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from infogan_tool.export.evaluation.metrics.information import (
    categorical_log_likelihood,
    gaussian_log_likelihood,
    information_bound,
)
from infogan_tool.export.evaluation.metrics.round_trip import categorical_recovery, continuous_recovery

RNG = np.random.default_rng(0)
DRAWN = RNG.integers(0, 10, 5000)
STYLES = RNG.uniform(-1, 1, 5000)


def test_categories_known_for_certain_give_the_whole_entropy() -> None:
    found = information_bound(categorical_log_likelihood(np.eye(10)[DRAWN], DRAWN), math.log(10))
    assert found.lower_bound_nats == pytest.approx(math.log(10))
    assert found.entropy_nats == math.log(10)
    assert found.standard_error_nats == 0


def test_categories_guessed_give_nothing() -> None:
    flat = np.full((5000, 10), 0.1)
    found = information_bound(categorical_log_likelihood(flat, DRAWN), math.log(10))
    assert found.lower_bound_nats == pytest.approx(0)


def test_certain_and_wrong_is_far_below_zero_and_finite() -> None:
    wrong = np.eye(10)[(DRAWN + 1) % 10]
    found = information_bound(categorical_log_likelihood(wrong, DRAWN), math.log(10))
    assert -100 < found.lower_bound_nats < -80


def test_bound_is_the_mean_and_its_error() -> None:
    logs = np.log(softmax(RNG.standard_normal((400, 3)), axis=1)[np.arange(400), RNG.integers(0, 3, 400)])
    found = information_bound(logs, 1.0)
    assert found.lower_bound_nats == pytest.approx(logs.mean() + 1)
    assert found.standard_error_nats == pytest.approx(np.sqrt(logs.var(ddof=1) / 400))


def test_gaussian_likelihood_is_that_of_the_formula() -> None:
    mean, std = 0.1, 0.3
    expected = -0.5 * (np.log(2 * np.pi * std**2) + (STYLES - mean) ** 2 / std**2)
    np.testing.assert_allclose(gaussian_log_likelihood(STYLES, mean, std), expected)


def test_dead_continuous_code_is_0_18_below_zero() -> None:
    logs = gaussian_log_likelihood(STYLES, np.zeros(5000), np.full(5000, np.sqrt(1 / 3)))
    assert information_bound(logs, math.log(2)).lower_bound_nats == pytest.approx(-0.176, abs=0.01)


def test_sharp_continuous_code_has_no_ceiling() -> None:
    logs = gaussian_log_likelihood(STYLES, STYLES + RNG.normal(0, 0.01, 5000), np.full(5000, 0.01))
    assert information_bound(logs, math.log(2)).lower_bound_nats > 3


def test_categorical_round_trip() -> None:
    perfect = categorical_recovery(DRAWN, DRAWN, 10)
    assert perfect.recovered == 1
    assert perfect.by_category == (1.0,) * 10
    useless = categorical_recovery(DRAWN, RNG.integers(0, 10, 5000), 10)
    assert useless.recovered == pytest.approx(0.1, abs=0.02)
    degenerate = categorical_recovery(np.array([0, 0, 1]), np.zeros(3, int), 3)
    assert degenerate.recovered == pytest.approx(2 / 3)
    assert degenerate.by_category == (1.0, 0.0, None)


def test_continuous_round_trip_that_is_right_about_itself() -> None:
    found = continuous_recovery(
        STYLES, STYLES + RNG.normal(0, 0.1, 5000), np.full(5000, 0.1), {"k1": (DRAWN, 10)}
    )
    assert found.pearson_r > 0.98
    assert found.mean_abs_error == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.05)
    assert found.mean_error == pytest.approx(0, abs=0.01)
    assert found.mean_std == pytest.approx(0.1)
    assert found.within_one_std == pytest.approx(0.683, abs=0.02)
    assert len(found.pearson_r_by_category["k1"]) == 10
    assert min(found.pearson_r_by_category["k1"]) > 0.98


def test_continuous_round_trip_that_knows_nothing() -> None:
    found = continuous_recovery(STYLES, np.zeros(5000), np.full(5000, 0.577), {"k1": (DRAWN, 10)})
    assert found.pearson_r == 0
    assert found.mean_abs_error == pytest.approx(0.5, abs=0.02)
    assert found.within_one_std == pytest.approx(0.577, abs=0.03)
    assert found.pearson_r_by_category["k1"] == (0.0,) * 10


def test_code_that_is_read_in_one_category_only() -> None:
    mean = np.where(DRAWN == 3, STYLES, 0.0)
    found = continuous_recovery(STYLES, mean, np.ones(5000), {"k1": (DRAWN, 10)})
    assert found.pearson_r_by_category["k1"] == (0.0,) * 3 + (pytest.approx(1),) + (0.0,) * 6


def test_a_category_without_images_has_no_correlation() -> None:
    for periodic in (False, True):
        found = continuous_recovery(STYLES, STYLES, np.ones(5000), {"k1": (DRAWN, 11)}, periodic=periodic)
        assert found.pearson_r_by_category["k1"][10] == 0


def test_a_shift_does_not_show_in_the_correlation_but_in_the_bias() -> None:
    found = continuous_recovery(STYLES, STYLES + 0.25, np.full(5000, 0.1), {})
    assert found.pearson_r == pytest.approx(1)
    assert found.mean_error == pytest.approx(0.25)
    assert found.mean_abs_error == pytest.approx(0.25)
    assert found.within_one_std == 0


def test_continuous_round_trip_without_categories() -> None:
    assert continuous_recovery(STYLES, -STYLES, np.ones(5000), {}).pearson_r == pytest.approx(-1)


def test_errors_of_a_periodic_code_go_the_short_way_round() -> None:
    turned = (STYLES + 0.1 + 1) % 2 - 1
    found = continuous_recovery(STYLES, turned, np.full(5000, 0.2), {"k1": (DRAWN, 10)}, periodic=True)
    assert found.mean_error == pytest.approx(0.1)
    assert found.mean_abs_error == pytest.approx(0.1)
    assert found.within_one_std == 1
    assert found.pearson_r == pytest.approx(np.cos(0.1 * np.pi))
    assert found.pearson_r_by_category["k1"] == (pytest.approx(np.cos(0.1 * np.pi)),) * 10
    unrelated = np.random.default_rng(1).permutation(STYLES)
    none = continuous_recovery(STYLES, unrelated, np.ones(5000), {}, periodic=True)
    assert none.pearson_r == pytest.approx(0, abs=0.05)
    assert none.mean_abs_error == pytest.approx(0.5, abs=0.02)
