"""Calibration: probabilities that are right about themselves, too sure, and without any answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from infogan_tool.export.evaluation.metrics.calibration import (
    best_temperature,
    category_of_label,
    expected_calibration_error,
    safe_log,
    share_below,
    temper,
)


def truthful(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, their probabilities, and answers drawn from exactly these."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, 5))
    probabilities = softmax(logits, axis=1)
    answers = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, probabilities, answers


def test_truthful_probabilities_have_no_error_and_temperature_one() -> None:
    _, probabilities, answers = truthful(40_000)
    right = probabilities.argmax(axis=1) == answers
    assert expected_calibration_error(probabilities.max(axis=1), right) < 0.01
    assert best_temperature(probabilities, answers) == pytest.approx(1, abs=0.03)


def test_too_sure_by_three_is_found_and_mended() -> None:
    logits, _, answers = truthful(40_000)
    too_sure = softmax(3 * logits, axis=1)
    right = too_sure.argmax(axis=1) == answers
    temperature = best_temperature(too_sure, answers)
    assert temperature == pytest.approx(3, rel=0.03)
    before = expected_calibration_error(too_sure.max(axis=1), right)
    after = expected_calibration_error(temper(too_sure, temperature).max(axis=1), right)
    assert before > 0.1
    assert after < 0.01


def test_always_sure_and_always_wrong_is_the_worst() -> None:
    assert expected_calibration_error(np.ones(10), np.zeros(10, bool)) == 1
    assert expected_calibration_error(np.ones(10), np.ones(10, bool)) == 0


def test_error_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    confidence = np.concatenate([rng.random(500), np.arange(16) / 15])  # the edges belong to the bin below
    right = rng.random(len(confidence)) < 0.4
    expected = 0.0
    for m in range(1, 16):
        low, high = (m - 1) / 15, m / 15
        rows = (confidence > low) & (confidence <= high) if m > 1 else confidence <= high
        if rows.any():
            gap = abs(right[rows].mean() - confidence[rows].mean())
            expected += rows.sum() / len(confidence) * gap
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_temperature_without_answers_is_none() -> None:
    assert best_temperature(np.full((4, 2), 0.5), np.full(4, -1)) is None


def test_temperature_of_certain_probabilities_stays_within_its_bounds() -> None:
    sure = np.eye(3)[np.arange(30) % 3]
    assert 1 / 20 <= best_temperature(sure, np.arange(30) % 3) <= 20
    assert best_temperature(sure, (np.arange(30) + 1) % 3) == pytest.approx(20, rel=0.01)


def test_tempering_by_one_changes_nothing_and_keeps_the_order() -> None:
    _, probabilities, _ = truthful(100)
    np.testing.assert_allclose(temper(probabilities, 1.0), probabilities, atol=1e-12)
    assert (temper(probabilities, 5.0).argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_log_of_zero_is_finite() -> None:
    assert safe_log(np.array([0.0, 1.0])).tolist() == [pytest.approx(-87.34, abs=0.01), 0.0]


def test_matching_turned_round() -> None:
    assert category_of_label((2, None, 0), 4).tolist() == [2, -1, 0, -1]


def test_share_below() -> None:
    assert share_below(np.array([0.2, 0.5, 0.8, 0.95]), 0.5) == 0.25
