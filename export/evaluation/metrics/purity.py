"""Whether each category of the generator is one class, as an independent classifier sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.export.evaluation.metrics.clustering import confusion_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["GeneratedCategory", "Purity", "generator_purity"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedCategory:
    """What the classifier sees in the images of one category."""

    category: int
    """Its index."""
    label: str | None
    """The class that the classifier sees most often; None for a category that was not drawn."""
    count: int
    """Images drawn."""
    purity: float | None
    """Share of them that the classifier takes for that class; None without images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Purity:
    """How far the categories of one code are classes."""

    purity: float
    """Share of all images that the classifier takes for the class of their category."""
    classes_generated: int
    """Number of different classes among those of the categories; a generator of one class only is pure
    too."""
    agrees_with_encoder: float | None
    """Share of all images that the classifier takes for the label that their category has on *real* images;
    None where the encoder's categories have no labels."""
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
    """Compare the categories that images were drawn from with the classes that a classifier sees.

    Args:
        categories: ``(N,)``, the category drawn; N is at least 1.
        classes: ``(N,)``, the classifier's class of each image.
        num_categories: Number of categories of the code.
        class_names: Name of each class.
        label_of: Class that each category has on real images, by the encoder.
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
    agrees = None
    if label_of is not None:
        wanted = np.array([-1 if label is None else label for label in label_of])
        agrees = float((wanted[categories] == classes).mean())
    return Purity(
        purity=float(counts.max(axis=1).sum() / len(categories)),
        classes_generated=len({int(best[k]) for k in range(num_categories) if totals[k]}),
        agrees_with_encoder=agrees,
        categories=rows,
    )
