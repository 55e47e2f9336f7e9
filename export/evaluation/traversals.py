"""Latents in which one continuous code varies while all else is fixed, for each combination of categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.latents.sampling import Latents, sample
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.latents.spec import LatentSpec

MAX_COMBINATIONS: Final = 20
"""Maximum number of combinations of categories; of more, so many are selected evenly."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CodeTraversals:
    """Latents of all traversals of one code."""

    latents: Latents
    """N latents."""
    values: NDArray[np.float64]
    """``(N,)``: value of the code."""
    groups: NDArray[np.int64]
    """``(N,)``: number of the combination of categories; with one categorical code, the category."""


def evenly(count: int, limit: int) -> list[int]:
    """Return at most ``limit`` indices below ``count``, evenly spaced, with the first and the last."""
    some = min(count, limit)
    return [0] * some if some <= 1 else [round(Fraction(i * (count - 1), some - 1)) for i in range(some)]


def sample_each_combination(spec: LatentSpec, seed: int, repeats: int) -> tuple[Latents, NDArray[np.int64]]:
    """Sample ``repeats`` latents for each combination of categories.

    Returns:
        ``G * repeats`` latents, those of a combination side by side, and the number of each latent's
        combination ``(N,)``; with one categorical code, its category.
    """
    chosen = evenly(math.prod(spec.categorical), MAX_COMBINATIONS)
    combinations = np.empty((len(chosen), len(spec.categorical)), np.int64)
    for row, number in enumerate(chosen):
        for column, size in reversed(list(enumerate(spec.categorical))):
            number, combinations[row, column] = divmod(number, size)  # noqa: PLW2901 - digits of a number
    latents = sample(spec, len(chosen) * repeats, seed)
    categories = combinations.repeat(repeats, axis=0)
    return replace(latents, categories=categories), np.array(chosen).repeat(repeats)


def traverse_code(spec: LatentSpec, code: str, *, seed: int, repeats: int, steps: int) -> CodeTraversals:
    """Return traversals of a continuous code over its prior.

    For each combination of categories there are ``repeats`` traversals of ``steps`` values from -1 to 1.
    Noise and the other continuous codes are sampled for each traversal and fixed along it.

    Raises:
        LatentError: There is no such continuous code.
    """
    index = spec.continuous_index(code)
    base, groups = sample_each_combination(spec, seed, repeats)
    values = np.tile(np.linspace(CONTINUOUS_LOW, CONTINUOUS_HIGH, steps), len(base))
    styles = base.styles.repeat(steps, axis=0)
    styles[:, index] = values
    latents = Latents(base.noise.repeat(steps, axis=0), base.categories.repeat(steps, axis=0), styles)
    return CodeTraversals(latents=latents, values=values, groups=groups.repeat(steps))
