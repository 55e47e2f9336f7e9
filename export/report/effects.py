"""The effect of each code on the image: its strength, and its consistency over different noise.

A code is moved from one end of its prior to the other, a periodic one by half a turn, while all else is
fixed, in many images. With d_i the change of image i:

*Strength* is the root of the mean of d_i squared over images and pixels, as a share of the range from black
to white. It is compared with the strength of single *noise dimensions*, moved between the ends of a uniform
prior of the same variance: a code that training has not tied to the image is no stronger than these.

*Consistency* is the mean inner product of the changes of two different images, divided by the mean of d_i
squared: the energy-weighted cosine between changes. 1: the same change for any noise; 0: unrelated changes.
Only pairs of different images count, so that unrelated changes give 0 for any number of images; where a
continuous code is moved, those of the same categories.

For a categorical code both are means over pairs of its categories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.evaluation.traversals import MAX_COMBINATIONS, evenly, sample_each_combination
from infogan_tool.runtime.latents.sampling import sample
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW, PERIOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.latents.sampling import Latents

_IMAGES: Final = 240
"""Approximate number of image pairs for each code."""
_MIN_REPEATS: Final = 8
_MAX_CATEGORIES: Final = 12
_CATEGORY_IMAGES: Final = 24
_MAX_NOISE: Final = 16
"""Maximum number of noise dimensions; of more, so many are selected evenly."""
_NOISE_END: Final = {"uniform": 1.0, "normal": math.sqrt(3)}
"""A noise dimension is moved between minus and plus this value."""
_HALF_TURN: Final = -PERIOD / 4, PERIOD / 4
"""A periodic code is moved between these: its ends are the same image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """The effect of moving one code."""

    strength: float
    """Root mean square change of a pixel, as a share of the range from black to white; at least 0."""
    consistency: float | None
    """From about 0 (unrelated changes) to 1 (always the same change); None where nothing changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """The effects of codes and noise on a generator's images."""

    codes: Mapping[str, Effect]
    """By code."""
    noise: tuple[Effect, ...]
    """Single noise dimensions; empty without noise."""

    @property
    def noise_strength(self) -> float | None:
        """Mean strength of a noise dimension."""
        return float(np.mean([effect.strength for effect in self.noise])) if self.noise else None

    def times_noise(self, code: str) -> float | None:
        """Return the strength of a code relative to the mean strength of a noise dimension."""
        noise = self.noise_strength
        return self.codes[code].strength / noise if noise else None


def measure_effects(bundle: Bundle, codes: Sequence[str], *, seed: int = 0) -> Effects:
    """Measure the effect of ``codes`` of a bundle, and of its noise."""
    spec = bundle.latent
    combinations = min(math.prod(spec.categorical), MAX_COMBINATIONS)
    base, groups = sample_each_combination(spec, seed, max(_MIN_REPEATS, -(-_IMAGES // combinations)))
    effects: dict[str, Effect] = {}
    for code in codes:
        if code in spec.categorical_names:
            effects[code] = _categorical(bundle, code, seed)
        else:
            index = spec.continuous_index(code)
            ends = _HALF_TURN if code in spec.periodic else (CONTINUOUS_LOW, CONTINUOUS_HIGH)
            low, high = (_with(base, "styles", index, end) for end in ends)
            effects[code] = _between(bundle, low, high, groups)
    noise, end = [], _NOISE_END[spec.noise_prior]
    for dimension in evenly(spec.noise, _MAX_NOISE):
        low, high = (_with(base, "noise", dimension, value) for value in (-end, end))
        noise.append(_between(bundle, low, high, groups))
    return Effects(codes=effects, noise=tuple(noise))


def alignment(changes: NDArray[np.floating], groups: NDArray[np.int64]) -> float | None:
    """Return the consistency of changes.

    Args:
        changes: ``(N, P)``, one row for each image.
        groups: ``(N,)``: only images of the same group are compared; groups of one are ignored.

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
    base = sample(spec, count, seed)
    images = [
        _images(bundle, _with(base, "categories", column, category))
        for category in evenly(spec.categorical[column], _MAX_CATEGORIES)
    ]
    changes = [first - second for a, first in enumerate(images) for second in images[:a]]
    energy = [float((change.astype(np.float64) ** 2).sum()) for change in changes]
    consistency = [alignment(change, np.zeros(count, np.int64)) or 0.0 for change in changes]
    total = sum(energy)
    return Effect(
        strength=math.sqrt(total / (len(changes) * changes[0].size)),
        consistency=sum(e * c for e, c in zip(energy, consistency, strict=True)) / total if total else None,
    )


def _with(base: Latents, part: str, column: int, value: float) -> Latents:
    """Return the latents with a column of ``noise``, ``categories`` or ``styles`` set to a value."""
    values = getattr(base, part).copy()
    values[:, column] = value
    return replace(base, **{part: values})


def _images(bundle: Bundle, latents: Latents) -> NDArray[np.float32]:
    """Return images ``(N, P)`` from 0 (black) to 1."""
    low, high = bundle.image.low, bundle.image.high
    images = bundle.generate(latents)
    flat: NDArray[np.float32] = ((images - np.float32(low)) / np.float32(high - low)).reshape(len(images), -1)
    return flat
