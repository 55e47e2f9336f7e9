"""Agreement of the categories of a code with labels, on images with labels.

ACC is the share of images whose category is matched one to one to their label (the Hungarian method; the
matching is computed on *training* images, so that the score is not maximised over the scored images). NMI
and ARI need no matching: normalised mutual information 2 I(k; y) / (H(k) + H(y)), from 0 to 1, and the Rand
index adjusted for chance (Hubert and Arabie 1985), 0 for an independent grouping and 1 for an identical one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from infogan_tool.export.evaluation.metrics.label_matching import accuracy, confusion_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryRow:
    """One category of a code, on the scored images."""

    category: int
    """Index of the category."""
    label: str | None
    """Name of the matched label; None if no label is left for it."""
    count: int
    """Number of images."""
    purity: float | None
    """Share of its images that have the matched label; None without images or label."""
    recall: float | None
    """Share of the label's images that are in the category; None without label or images of that label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clustering:
    """Agreement of one code's categories with labels."""

    accuracy: float
    """ACC, from 0 to 1."""
    nmi: float
    """Normalised mutual information, from 0 to 1."""
    ari: float
    """Adjusted Rand index, at most 1, 0 for chance."""
    confusion: tuple[tuple[int, ...], ...]
    """Images by label (rows, in the order of the label names) and category (columns)."""
    categories: tuple[CategoryRow, ...]
    """One row for each category."""


def score_categories(
    categories: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    label_of: Sequence[int | None],
    label_names: Sequence[str],
) -> Clustering:
    """Score categories against labels.

    Args:
        categories: ``(N,)``, the predicted category of each image; N is at least 1.
        labels: ``(N,)``, the true label index of each.
        label_of: Label index of each category, matched on other images; see
            :func:`infogan_tool.export.evaluation.metrics.label_matching.match_labels`.
        label_names: Name of each label.
    """
    counts = confusion_table(labels, categories, (len(label_names), len(label_of)))
    rows = tuple(_row(counts, category, label, label_names) for category, label in enumerate(label_of))
    return Clustering(
        accuracy=accuracy(categories, labels, label_of),
        nmi=float(normalized_mutual_info_score(labels, categories)),
        ari=float(adjusted_rand_score(labels, categories)),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        categories=rows,
    )


def _row(
    counts: NDArray[np.int64], category: int, label: int | None, label_names: Sequence[str]
) -> CategoryRow:
    count = int(counts[:, category].sum())
    if label is None:
        return CategoryRow(category=category, label=None, count=count, purity=None, recall=None)
    right, of_label = int(counts[label, category]), int(counts[label].sum())
    return CategoryRow(
        category=category,
        label=label_names[label],
        count=count,
        purity=right / count if count else None,
        recall=right / of_label if of_label else None,
    )
