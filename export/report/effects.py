"""How much each code moves the image, and whether it moves it alike whatever the noise is.

A code is moved from one end of its prior to the other while all else is held, in many images. With d_i the
change of image i:

*Strength* is the root of the mean of d_i squared over images and pixels, as a share of the range from black
to white. Beside it stands the strength of single *noise dimensions*, moved between the ends of a uniform
prior of the same variance: a code that training has not tied to the image is one more of these.

*Consistency* is the mean inner product of the changes of two different images of the same categories,
divided by the mean of d_i squared: the energy-weighted cosine between changes. 1: the same change whatever
the noise; 0: changes that have nothing in common. Pairs of different images only, so that chance gives 0 at
any number of images.

For a categorical code both are means over pairs of its categories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.report.subsample import evenly
from infogan_tool.runtime.latents.sampling import Latents, sample
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["Effect", "Effects", "alignment", "measure_effects"]

_IMAGES: Final = 240
"""Pairs of images for each code, about."""
_LEAST_REPEATS: Final = 8
_MAX_GROUPS: Final = 20
_MAX_CATEGORIES: Final = 12
_CATEGORY_IMAGES: Final = 24
_MAX_NOISE: Final = 16
"""Noise dimensions that are measured; of more, so many are chosen evenly."""
_NOISE_END: Final = {"uniform": 1.0, "normal": math.sqrt(3)}
"""Ends between which a noise dimension is moved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What moving one code does."""

    strength: float
    """Root mean square change of a pixel, as a share of the range from black to white; at least 0."""
    consistency: float | None
    """From about 0 (unrelated changes) to 1 (always the same change); None where nothing changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """What moves a generator's images."""

    codes: Mapping[str, Effect]
    """By code."""
    noise: tuple[Effect, ...]
    """Single noise dimensions; empty without noise."""
    all_noise: float | None
    """Strength of replacing all of the noise by another draw; None without noise."""

    @property
    def noise_strength(self) -> float | None:
        """Mean strength of a noise dimension."""
        return float(np.mean([effect.strength for effect in self.noise])) if self.noise else None

    def times_noise(self, code: str) -> float | None:
        """Return how many times as far a code moves the image as a mean noise dimension does."""
        noise = self.noise_strength
        return self.codes[code].strength / noise if noise else None


def measure_effects(bundle: Bundle, codes: Sequence[str], *, seed: int = 0) -> Effects:
    """Measure the effect of ``codes`` of a bundle, and of its noise."""
    spec = bundle.latent
    base, groups = _grounds(spec, seed)
    found: dict[str, Effect] = {}
    for code in codes:
        if code in spec.categorical_names:
            found[code] = _categorical(bundle, code, seed)
        else:
            index = spec.continuous_index(code)
            ends = [_with_style(base, index, end) for end in (CONTINUOUS_LOW, CONTINUOUS_HIGH)]
            found[code] = _between(bundle, ends[0], ends[1], groups)
    noise, end = [], _NOISE_END[spec.noise_prior]
    for dimension in evenly(spec.noise, _MAX_NOISE):
        low, high = (_with_noise(base, dimension, value) for value in (-end, end))
        noise.append(_between(bundle, low, high, groups))
    other = sample(spec, len(base), seed, start=len(base)).noise
    whole = _between(bundle, base, replace(base, noise=other), groups).strength if spec.noise else None
    return Effects(codes=found, noise=tuple(noise), all_noise=whole)


def alignment(changes: NDArray[np.floating], groups: NDArray[np.int64]) -> float | None:
    """Return the consistency of changes.

    Args:
        changes: ``(N, P)``, one row for each image.
        groups: ``(N,)``: only images of the same group are compared; groups of one are left out.

    Returns:
        The mean inner product of two different changes of a group over the mean squared length; None where
        there is no pair, or nothing changes.
    """
    products, energy = 0.0, 0.0
    for group in np.unique(groups):
        rows = np.asarray(changes[groups == group], np.float64)
        if len(rows) < 2:  # noqa: PLR2004 - a pair
            continue
        own = float((rows**2).sum())
        products += (float((rows.sum(axis=0) ** 2).sum()) - own) / (len(rows) - 1)
        energy += own
    return products / energy if energy > 0 else None


def _between(bundle: Bundle, low: Latents, high: Latents, groups: NDArray[np.int64]) -> Effect:
    changes = _images(bundle, high) - _images(bundle, low)
    return Effect(
        strength=float(np.sqrt(np.mean(changes**2, dtype=np.float64))), consistency=alignment(changes, groups)
    )


def _categorical(bundle: Bundle, code: str, seed: int) -> Effect:
    spec = bundle.latent
    column, count = spec.categorical_index(code), _CATEGORY_IMAGES
    chosen = evenly(spec.categorical[column], _MAX_CATEGORIES)
    base = sample(spec, count, seed)
    drawn = [_images(bundle, _with_category(base, column, category)) for category in chosen]
    pairs = [(a, b) for a in range(len(chosen)) for b in range(a)]
    changes = [drawn[a] - drawn[b] for a, b in pairs]
    energy = [float((change.astype(np.float64) ** 2).sum()) for change in changes]
    found = [alignment(change, np.zeros(count, np.int64)) or 0.0 for change in changes]
    total = sum(energy)
    return Effect(
        strength=math.sqrt(total / (len(pairs) * changes[0].size)),
        consistency=sum(e * c for e, c in zip(energy, found, strict=True)) / total if total else None,
    )


def _grounds(spec: LatentSpec, seed: int) -> tuple[Latents, NDArray[np.int64]]:
    """Return latents from the prior in groups of the same categories, and the group ``(N,)`` of each."""
    total = math.prod(spec.categorical)
    chosen = [i * (total - 1) // max(min(total, _MAX_GROUPS) - 1, 1) for i in range(min(total, _MAX_GROUPS))]
    repeats = max(_LEAST_REPEATS, -(-_IMAGES // len(chosen)))
    drawn = sample(spec, len(chosen) * repeats, seed)
    categories = drawn.categories.copy()
    for group, number in enumerate(chosen):
        rest = number
        for column, size in reversed(list(enumerate(spec.categorical))):
            rest, categories[group * repeats : (group + 1) * repeats, column] = divmod(rest, size)
    return replace(drawn, categories=categories), np.arange(len(chosen)).repeat(repeats)


def _with_style(base: Latents, index: int, value: float) -> Latents:
    styles = base.styles.copy()
    styles[:, index] = value
    return replace(base, styles=styles)


def _with_noise(base: Latents, dimension: int, value: float) -> Latents:
    noise = base.noise.copy()
    noise[:, dimension] = value
    return replace(base, noise=noise)


def _with_category(base: Latents, column: int, category: int) -> Latents:
    categories = base.categories.copy()
    categories[:, column] = category
    return replace(base, categories=categories)


def _images(bundle: Bundle, latents: Latents) -> NDArray[np.float32]:
    """Return images ``(N, P)`` from 0 (black) to 1."""
    low, high = bundle.image.low, bundle.image.high
    drawn = bundle.generate(latents)
    flat: NDArray[np.float32] = ((drawn - np.float32(low)) / np.float32(high - low)).reshape(len(drawn), -1)
    return flat
