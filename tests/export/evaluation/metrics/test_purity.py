"""What a classifier sees in generated images: pure, mixed and collapsed generators."""

from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.export.evaluation.metrics.purity import GeneratedCategory, generator_purity

NAMES = tuple("abcde")
DRAWN = np.repeat(np.arange(5), 200)


def test_pure_and_permuted() -> None:
    order = np.array([3, 1, 4, 0, 2])
    found = generator_purity(
        DRAWN, order[DRAWN], num_categories=5, class_names=NAMES, label_of=order.tolist()
    )
    assert found.purity == 1
    assert found.classes_generated == 5
    assert found.agrees_with_encoder == 1
    assert found.categories[2] == GeneratedCategory(category=2, label="e", count=200, purity=1.0)


def test_mixed_is_chance() -> None:
    classes = np.random.default_rng(0).integers(0, 5, len(DRAWN))
    found = generator_purity(DRAWN, classes, num_categories=5, class_names=NAMES, label_of=[0, 1, 2, 3, 4])
    assert found.purity == pytest.approx(0.25, abs=0.05)  # the most frequent class is a little above a fifth
    assert found.agrees_with_encoder == pytest.approx(0.2, abs=0.05)


def test_collapsed_is_pure_but_draws_one_class() -> None:
    found = generator_purity(
        DRAWN, np.full(len(DRAWN), 1), num_categories=6, class_names=NAMES, label_of=[0, 1, 2, 3, 4, None]
    )
    assert found.purity == 1
    assert found.classes_generated == 1
    assert found.agrees_with_encoder == pytest.approx(0.2)
    assert found.categories[5] == GeneratedCategory(category=5, label=None, count=0, purity=None)


def test_without_an_encoder_there_is_no_agreement() -> None:
    found = generator_purity(DRAWN, DRAWN, num_categories=5, class_names=NAMES)
    assert found.agrees_with_encoder is None
