"""Agreement of the generator's categories with the classes predicted by the evaluation classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infogan_tool.export.evaluation.metrics.label_matching import accuracy, confusion_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedCategory:
    """Predicted classes of the images generated with one category."""

    category: int
    """Index of the category."""
    label: str | None
    """The class predicted most often; None for a category without images."""
    count: int
    """Number of images."""
    purity: float | None
    """Share of the images that are predicted as that class; None without images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Purity:
    """Agreement of one code's categories with classes."""

    purity: float
    """Share of all images that are predicted as the most frequent class of their category."""
    classes_generated: int
    """Number of different classes among those of the categories: a generator of a single class has purity 1
    too."""
    agrees_with_encoder: float | None
    """Share of all images that are predicted as the label of their category on *real* images; None where the
    encoder's categories have no labels."""
    categories: tuple[GeneratedCategory, ...]
    """One row for each category."""


def generator_purity(
    categories: NDArray[np.int64],
    classes: NDArray[np.int64],
    *,
    num_categories: int,
    class_names: Sequence[str],
    label_of: Sequence[int | None] | None = None,
) -> Purity:
    """Compare the categories that images were generated with and the classes that a classifier predicts.

    Args:
        categories: ``(N,)``, the sampled category; N is at least 1.
        classes: ``(N,)``, the predicted class of each image.
        num_categories: Number of categories of the code.
        class_names: Name of each class.
        label_of: Class of each category on real images, by the encoder.
    """
    counts = confusion_table(categories, classes, (num_categories, len(class_names)))
    totals, best = counts.sum(axis=1), counts.argmax(axis=1)
    rows = tuple(
        GeneratedCategory(
            category=k,
            label=class_names[best[k]] if totals[k] else None,
            count=int(totals[k]),
            purity=float(counts[k, best[k]] / totals[k]) if totals[k] else None,
        )
        for k in range(num_categories)
    )
    return Purity(
        purity=float(counts.max(axis=1).sum() / len(categories)),
        classes_generated=len({int(best[k]) for k in range(num_categories) if totals[k]}),
        agrees_with_encoder=None if label_of is None else accuracy(categories, classes, label_of),
        categories=rows,
    )
