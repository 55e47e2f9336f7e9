"""Matching of categories to labels after training: labels neither train nor select a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_PURITY: Final = 0.5
"""A category is named after its label only if at least this share of its images has the label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelMatch:
    """The optimal one-to-one matching of one code's categories to labels."""

    label_of: tuple[int | None, ...]
    """Label index of each category; None if no label is left for it."""
    purity: tuple[float, ...]
    """Share of each category's images that have its label; 0 for one without images or label."""
    accuracy: float
    """Accuracy on the images that the matching was computed on."""


def confusion_table(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Count the pairs of ``rows (N,)`` and ``columns (N,)``: int64 of ``shape``."""
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts


def match_labels(categories: NDArray[np.int64], labels: NDArray[np.int64], num_categories: int) -> LabelMatch:
    """Match categories to labels one to one so that most images agree (Hungarian method).

    Args:
        categories: ``(N,)``, the predicted category of each image.
        labels: ``(N,)``, the true label index of each.
        num_categories: Number of categories of the code.
    """
    counts = confusion_table(categories, labels, (num_categories, int(labels.max()) + 1))
    rows, columns = linear_sum_assignment(counts, maximize=True)
    matched = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    label_of = tuple(matched.get(k) for k in range(num_categories))
    purity = tuple(
        0.0 if label is None else float(row[label] / max(row.sum(), 1))
        for row, label in zip(counts, label_of, strict=True)
    )
    return LabelMatch(label_of=label_of, purity=purity, accuracy=accuracy(categories, labels, label_of))


def match_best_code(
    categories: NDArray[np.int64], labels: NDArray[np.int64], sizes: Sequence[int]
) -> tuple[int, LabelMatch]:
    """Match each categorical code to labels, and return the index and the match of the most accurate one.

    Args:
        categories: ``(N, K)``, a column for each code.
        labels: ``(N,)``, the label index of each image.
        sizes: Number of categories of each code; K is at least 1.
    """
    matches = [match_labels(categories[:, column], labels, size) for column, size in enumerate(sizes)]
    best = max(range(len(matches)), key=lambda column: matches[column].accuracy)
    return best, matches[best]


def accuracy(
    categories: NDArray[np.int64], labels: NDArray[np.int64], label_of: Sequence[int | None]
) -> float:
    """Return the share of images ``(N,)`` whose category is matched to their own label."""
    named = np.array([-1 if label is None else label for label in label_of])
    return float((named[categories] == labels).mean())
