"""Categories against labels: perfect, useless and degenerate groupings."""

from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.export.evaluation.metrics.clustering import CategoryRow, confusion_table, score_categories

NAMES = tuple("0123456789")
TRUTH = np.repeat(np.arange(10), 100)


def test_perfect_but_permuted() -> None:
    order = np.random.default_rng(0).permutation(10)
    label_of = np.argsort(order).tolist()
    found = score_categories(order[TRUTH], TRUTH, label_of=label_of, label_names=NAMES)
    assert (found.accuracy, found.nmi, found.ari) == pytest.approx((1, 1, 1))
    for row in found.categories:
        assert row == CategoryRow(
            category=row.category, label=NAMES[label_of[row.category]], count=100, purity=1.0, recall=1.0
        )
    confusion = np.array(found.confusion)
    assert confusion[np.arange(10), order].tolist() == [100] * 10
    assert confusion.sum() == len(TRUTH)


def test_useless_is_chance() -> None:
    truth = np.repeat(TRUTH, 10)
    found = score_categories(
        np.random.default_rng(0).integers(0, 10, len(truth)), truth, label_of=range(10), label_names=NAMES
    )
    assert found.accuracy == pytest.approx(0.1, abs=0.02)
    assert found.nmi == pytest.approx(0, abs=0.01)
    assert found.ari == pytest.approx(0, abs=0.01)
    assert found.categories[3].purity == pytest.approx(0.1, abs=0.03)
    assert found.categories[3].recall == pytest.approx(0.1, abs=0.03)


def test_one_category_for_all() -> None:
    found = score_categories(np.full(len(TRUTH), 3), TRUTH, label_of=(None, 1, None, 0), label_names=NAMES)
    assert found.accuracy == pytest.approx(0.1)
    assert (found.nmi, found.ari) == pytest.approx((0, 0))
    assert found.categories[3] == CategoryRow(category=3, label="0", count=1000, purity=0.1, recall=1.0)
    assert found.categories[1] == CategoryRow(category=1, label="1", count=0, purity=None, recall=0.0)
    assert found.categories[0] == CategoryRow(category=0, label=None, count=0, purity=None, recall=None)


def test_a_label_that_no_image_scored_has_gets_no_recall() -> None:
    found = score_categories(np.zeros(5, int), np.zeros(5, int), label_of=(0, 1), label_names=("a", "b"))
    assert found.categories[1].recall is None
    assert found.confusion == ((5, 0), (0, 0))


def test_matching_is_not_found_again_on_the_images_scored() -> None:
    found = score_categories((TRUTH + 1) % 10, TRUTH, label_of=range(10), label_names=NAMES)
    assert found.accuracy == 0
    assert found.nmi == pytest.approx(1)


def test_confusion_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 3, 50), rng.integers(0, 4, 50)
    counts = confusion_table(rows, columns, (3, 4))
    assert counts[2, 1] == sum(r == 2 and c == 1 for r, c in zip(rows, columns, strict=True))
