"""What the continuous codes of a bundle mean, and by which name to call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.attributes import ATTRIBUTES, measure_attributes
from infogan_tool.export.evaluation.metrics.correlation import pearson, spearman, within_groups
from infogan_tool.export.evaluation.metrics.naming import NAMES, name_code
from infogan_tool.export.evaluation.real_images import random_subset
from infogan_tool.export.evaluation.traversals import category_groups, traverse_code
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle

__all__ = ["AttributeRow", "RealValues", "StyleRow", "StyleTable", "name_styles"]

_Pair = tuple[float | None, float | None]
_Table = dict[str, _Pair]
"""Pearson and Spearman by attribute."""

REPEATS: Final = 20
STEPS: Final = 11
MAX_REAL: Final = 5000
"""Real images that are measured; of more, so many are chosen at random."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeRow:
    """One code against one attribute; each figure is a mean of correlations within categories."""

    generated_r: float | None
    """Pearson, value of the code and attribute of the generated image; positive: the code raises it. None
    where no category has ten images that are not empty."""
    generated_rank: float | None
    """Spearman of the same."""
    real_r: float | None
    """Pearson, encoder's mean and attribute of the real image; None likewise,
    and without real images."""
    real_rank: float | None
    """Spearman of the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RealValues:
    """The values of one code that the encoder finds in real images (its means).

    Over a prior of -1 to 1 they would have mean 0, standard deviation 0.577, and none beyond. Others say that
    what G draws does not vary as real images do, or that Q reads the code from what only G's images have.
    """

    mean: float
    """Mean."""
    std: float
    """Standard deviation."""
    beyond: float
    """Share of images whose value is outside the prior."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleRow:
    """What one continuous code follows, and how far it goes on real images."""

    attribute: str | None
    """The attribute that dominates it, or None."""
    name: str | None
    """What people call that attribute."""
    attributes: Mapping[str, AttributeRow]
    """Every attribute."""
    real: RealValues | None
    """Its values in real images; None without them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleTable:
    """What all continuous codes follow."""

    generated_images: int
    """Generated images for each code."""
    real_images: int
    """Real images."""
    codes: Mapping[str, StyleRow]
    """By continuous code."""

    @property
    def names(self) -> dict[str, str | None]:
        """What ``metadata.style_names`` holds."""
        return {code: row.name for code, row in self.codes.items()}

    def to_card(self) -> dict[str, Any]:
        """Return what a card keeps: for each code and attribute, r on generated and on real images."""

        def short(value: float | None) -> float | None:
            return None if value is None else round(value, 3)

        return {
            "generated_images": self.generated_images,
            "real_images": self.real_images,
            "correlation": {
                code: {name: [short(r.generated_r), short(r.real_r)] for name, r in row.attributes.items()}
                for code, row in self.codes.items()
            },
        }


def name_styles(
    bundle: Bundle,
    images: NDArray[np.uint8] | None,
    *,
    seed: int = 0,
    repeats: int = REPEATS,
    steps: int = STEPS,
    max_real: int = MAX_REAL,
) -> StyleTable:
    """Measure each continuous code against every attribute, on generated traversals and on real images.

    Args:
        bundle: What was exported.
        images: Real images of the bundle's size, uint8 ``(N, H, W, C)``; they need no labels. Without them
            no code gets a name.
        seed: Of the traversals' latents and of the choice of real images.
        repeats: Traversals for each combination of categories.
        steps: Values of the code in a traversal.
        max_real: Real images that are measured at most.
    """
    codes = bundle.latent.continuous_names
    if not codes:
        return StyleTable(generated_images=0, real_images=0, codes={})
    real: dict[str, tuple[_Table, RealValues]] = {}
    if images is not None:
        images = random_subset(images, max_real, np.random.default_rng(seed))
        real = _on_real(bundle, images)
    rows, count = {}, 0
    for code in codes:
        lines = traverse_code(bundle.latent, code, seed=seed, repeats=repeats, steps=steps)
        drawn = to_uint8(bundle.generate(lines.latents), bundle.image)
        found = _correlations(lines.values, measure_attributes(drawn), lines.groups)
        rows[code] = _row(found, *real.get(code, (None, None)))
        count = len(drawn)
    return StyleTable(generated_images=count, real_images=0 if images is None else len(images), codes=rows)


def _on_real(bundle: Bundle, images: NDArray[np.uint8]) -> dict[str, tuple[_Table, RealValues]]:
    posterior = bundle.encode(images)
    groups = category_groups(posterior.categories, bundle.latent.categorical)
    attributes = measure_attributes(images)
    columns = dict(zip(bundle.latent.continuous_names, posterior.style_mean.T, strict=True))
    return {
        code: (_correlations(values, attributes, groups), _values(values)) for code, values in columns.items()
    }


def _values(values: NDArray[np.floating]) -> RealValues:
    beyond = (values < CONTINUOUS_LOW) | (values > CONTINUOUS_HIGH)
    return RealValues(mean=float(values.mean()), std=float(values.std()), beyond=float(beyond.mean()))


def _correlations(
    values: NDArray[np.floating], attributes: dict[str, NDArray[np.float64]], groups: NDArray[np.int64]
) -> _Table:
    """Return Pearson and Spearman within groups for each attribute."""
    return {
        name: (
            within_groups(values, attributes[name], groups, pearson),
            within_groups(values, attributes[name], groups, spearman),
        )
        for name in ATTRIBUTES
    }


def _row(drawn: _Table, real: _Table | None, values: RealValues | None) -> StyleRow:
    attributes = {
        name: AttributeRow(
            generated_r=drawn[name][0],
            generated_rank=drawn[name][1],
            real_r=real[name][0] if real else None,
            real_rank=real[name][1] if real else None,
        )
        for name in ATTRIBUTES
    }
    attribute = None
    if real:
        attribute = name_code(
            *({name: r or 0.0 for name, (r, _) in table.items()} for table in (drawn, real))
        )
    name = NAMES[attribute] if attribute else None
    return StyleRow(attribute=attribute, name=name, attributes=attributes, real=values)
