"""Matching categories to labels: perfect, useless and degenerate encoders."""

from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.export.evaluation.metrics.label_matching import match_labels

TRUTH = np.repeat(np.arange(10), 100)


def test_perfect_but_permuted() -> None:
    order = np.random.default_rng(0).permutation(10)
    match = match_labels(order[TRUTH], TRUTH, 10)
    assert match.accuracy == 1
    assert [match.label_of[k] for k in order] == list(range(10))
    assert match.purity == (1.0,) * 10


def test_useless_is_chance() -> None:
    truth = np.repeat(TRUTH, 20)
    found = np.random.default_rng(0).integers(0, 10, len(truth))
    assert match_labels(found, truth, 10).accuracy == pytest.approx(0.1, abs=0.02)


def test_one_category_for_all_names_one_label_only() -> None:
    match = match_labels(np.full(len(TRUTH), 3), TRUTH, 10)
    assert match.accuracy == pytest.approx(0.1)
    assert match.purity[3] == pytest.approx(0.1)
    assert sum(match.purity) == pytest.approx(0.1)


def test_more_categories_than_labels() -> None:
    found = TRUTH * 2 + (np.arange(len(TRUTH)) % 4 == 0)  # each label in two categories, 3 to 1
    match = match_labels(found, TRUTH, 20)
    assert match.label_of == tuple(k // 2 if k % 2 == 0 else None for k in range(20))
    assert match.accuracy == pytest.approx(0.75)


def test_fewer_categories_than_labels() -> None:
    match = match_labels(TRUTH // 2, TRUTH, 5)
    assert match.accuracy == pytest.approx(0.5)
    assert match.purity == (0.5,) * 5
