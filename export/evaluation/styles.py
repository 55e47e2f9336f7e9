"""Correlate the continuous codes of a bundle with attributes of images, and name each code."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.export.evaluation.metrics.attributes import ATTRIBUTES, measure_attributes
from infogan_tool.export.evaluation.metrics.correlation import by_group, pearson, spearman, within_groups
from infogan_tool.export.evaluation.metrics.naming import NAMES, name_code
from infogan_tool.export.evaluation.real_images import random_subset
from infogan_tool.export.evaluation.traversals import MAX_COMBINATIONS, traverse_code
from infogan_tool.export.image_limit import image_limit
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle

_Correlations = dict[str, tuple[float | None, float | None]]
"""Pearson and Spearman by attribute."""

MIN_REVERSED: Final = 0.5
"""Correlation of the other sign from which a code is reversed in a category."""
REPEATS: Final = 20
STEPS: Final = 11
MAX_REAL: Final = 5000
"""Maximum number of real images; of more, so many are chosen at random."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeCorrelation:
    """Correlation of one code with one attribute: a mean over categories of the correlation within each.

    None where no category has ten images that are not empty, and on real images without any.
    """

    generated_pearson: float | None
    """Pearson's r of the code and the attribute of the generated image; positive: the code raises it."""
    generated_spearman: float | None
    """Spearman's rank correlation of the same."""
    real_pearson: float | None
    """Pearson's r of the encoder's mean and the attribute of the real image."""
    real_spearman: float | None
    """Spearman's rank correlation of the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RealValues:
    """The encoder's means of one code on real images.

    If real images varied as the prior does, from -1 to 1, the mean would be 0, the standard deviation 0.577
    and no value outside.
    """

    mean: float
    """Mean."""
    std: float
    """Standard deviation."""
    outside_prior: float
    """Share of images whose value is outside of -1 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeStyle:
    """Correlations, name and real values of one continuous code."""

    attribute: str | None
    """The attribute that dominates it, or None."""
    name: str | None
    """Display name of that attribute."""
    attributes: Mapping[str, AttributeCorrelation]
    """By attribute."""
    reversed_in: tuple[int, ...]
    """Combinations of categories in which the code changes that attribute the other way: r on generated
    images has the other sign, and at least 0.5. Of one categorical code, they are its categories."""
    real: RealValues | None
    """Its values on real images; None without them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleTable:
    """Styles of all continuous codes."""

    generated_images: int
    """Number of generated images for each code."""
    real_images: int
    """Number of real images."""
    codes: Mapping[str, CodeStyle]
    """By continuous code."""

    @property
    def names(self) -> dict[str, str | None]:
        """Name of each code, as in ``metadata.style_names``."""
        return {code: style.name for code, style in self.codes.items()}

    def to_card(self) -> dict[str, Any]:
        """Return the entry of a card: for each code and attribute, r on generated and on real images."""

        def rounded(*values: float | None) -> list[float | None]:
            return [None if value is None else round(value, 3) for value in values]

        return {
            "generated_images": self.generated_images,
            "real_images": self.real_images,
            "correlation": {
                code: {
                    name: rounded(row.generated_pearson, row.real_pearson)
                    for name, row in style.attributes.items()
                }
                for code, style in self.codes.items()
            },
            "reversed": {
                code: list(style.reversed_in) for code, style in self.codes.items() if style.reversed_in
            },
        }


def measure_styles(
    bundle: Bundle,
    images: NDArray[np.uint8] | None,
    *,
    seed: int = 0,
    repeats: int = REPEATS,
    steps: int = STEPS,
    max_real: int = MAX_REAL,
) -> StyleTable:
    """Correlate each continuous code with every attribute, on generated traversals and on real images.

    Args:
        bundle: The bundle to measure.
        images: Real images of the bundle's size, uint8 ``(N, H, W, C)``, without labels. With None no code
            gets a name.
        seed: Seed of the traversals' latents and of the random subset of real images.
        repeats: Traversals for each combination of categories; fewer of images of more than 32 x 32.
        steps: Values of the code in a traversal.
        max_real: Maximum number of real images; less for images of more than 32 x 32.
    """
    names = bundle.latent.continuous_names
    if not names:
        return StyleTable(generated_images=0, real_images=0, codes={})
    real: dict[str, tuple[_Correlations, RealValues]] = {}
    size = bundle.image.size
    if images is not None:
        images = random_subset(images, image_limit(size, max_real), np.random.default_rng(seed))
        real = _on_real(bundle, images)
    per_repeat = len(names) * steps * min(MAX_COMBINATIONS, math.prod(bundle.latent.categorical))
    repeats = max(1, image_limit(size, repeats * per_repeat) // per_repeat)
    codes, count = {}, 0
    for code in names:
        traversals = traverse_code(bundle.latent, code, seed=seed, repeats=repeats, steps=steps)
        generated = to_uint8(bundle.generate(traversals.latents), bundle.image)
        attributes = measure_attributes(generated)
        correlations = _correlate(traversals.values, attributes, [traversals.groups])
        style = _style(correlations, *real.get(code, (None, None)))
        if style.attribute:
            sign = math.copysign(1, correlations[style.attribute][0] or 0)
            parts = by_group(traversals.values, attributes[style.attribute], traversals.groups)
            other = tuple(group for group, (r, _) in parts.items() if sign * r <= -MIN_REVERSED)
            style = replace(style, reversed_in=other)
        codes[code] = style
        count = len(generated)
    return StyleTable(generated_images=count, real_images=0 if images is None else len(images), codes=codes)


def _on_real(bundle: Bundle, images: NDArray[np.uint8]) -> dict[str, tuple[_Correlations, RealValues]]:
    posterior = bundle.encode(images)
    # Of several codes there are too many combinations to find ten images of one.
    groupings = list(posterior.most_probable.T) or [np.zeros(len(images), np.int64)]
    attributes = measure_attributes(images)
    columns = dict(zip(bundle.latent.continuous_names, posterior.style_mean.T, strict=True))
    return {
        code: (_correlate(values, attributes, groupings), _values(values)) for code, values in columns.items()
    }


def _values(values: NDArray[np.floating]) -> RealValues:
    outside = (values < CONTINUOUS_LOW) | (values > CONTINUOUS_HIGH)
    return RealValues(mean=float(values.mean()), std=float(values.std()), outside_prior=float(outside.mean()))


def _correlate(
    values: NDArray[np.floating],
    attributes: dict[str, NDArray[np.float64]],
    groupings: Sequence[NDArray[np.int64]],
) -> _Correlations:
    """Return the correlations within the groups; of several groupings, the least."""

    def least(name: str, measure: Callable[..., float]) -> float | None:
        found = [within_groups(values, attributes[name], groups, measure) for groups in groupings]
        return min((r for r in found if r is not None), key=abs, default=None)

    return {name: (least(name, pearson), least(name, spearman)) for name in ATTRIBUTES}


def _style(generated: _Correlations, real: _Correlations | None, values: RealValues | None) -> CodeStyle:
    attributes = {
        name: AttributeCorrelation(
            generated_pearson=generated[name][0],
            generated_spearman=generated[name][1],
            real_pearson=real[name][0] if real else None,
            real_spearman=real[name][1] if real else None,
        )
        for name in ATTRIBUTES
    }
    attribute = None
    if real:
        attribute = name_code(
            *({name: r or 0.0 for name, (r, _) in table.items()} for table in (generated, real))
        )
    name = NAMES[attribute] if attribute else None
    return CodeStyle(attribute=attribute, name=name, attributes=attributes, reversed_in=(), real=values)
