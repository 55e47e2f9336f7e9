"""Latents in which one continuous code goes from end to end while the rest is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.latents.sampling import Latents, sample
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = ["MAX_GROUPS", "CodeTraversals", "category_groups", "traverse_code"]

MAX_GROUPS: Final = 20
"""Greatest number of combinations of categories that are swept; more are thinned out evenly."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CodeTraversals:
    """Latents of all traversals of one code."""

    latents: Latents
    """N latents."""
    values: NDArray[np.float64]
    """``(N,)``: value of the code."""
    groups: NDArray[np.int64]
    """``(N,)``: combination of categories, as :func:`category_groups` numbers them."""


def category_groups(categories: NDArray[np.int64], sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Number the combinations of categories: ``(N, K)`` to ``(N,)``, all 0 without categorical codes."""
    groups = np.zeros(len(categories), np.int64)
    for column, size in enumerate(sizes):
        groups = groups * size + categories[:, column]
    return groups


def traverse_code(spec: LatentSpec, code: str, *, seed: int, repeats: int, steps: int) -> CodeTraversals:
    """Lay out traversals of continuous code ``code`` over its prior.

    For each combination of categories there are ``repeats`` traversals of ``steps`` values from -1 to 1;
    noise and the other continuous codes are drawn from the prior, anew for each traversal, and held along it.

    Raises:
        LatentError: There is no such continuous code.
    """
    index = spec.continuous_index(code)
    combinations = _combinations(spec.categorical)
    rows = len(combinations) * repeats
    drawn = sample(spec, rows, seed)
    values = np.tile(np.linspace(CONTINUOUS_LOW, CONTINUOUS_HIGH, steps), rows)
    styles = drawn.styles.repeat(steps, axis=0)
    styles[:, index] = values
    categories = combinations.repeat(repeats * steps, axis=0)
    latents = Latents(drawn.noise.repeat(steps, axis=0), categories, styles)
    return CodeTraversals(
        latents=latents, values=values, groups=category_groups(categories, spec.categorical)
    )


def _combinations(sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """Return at most :data:`MAX_GROUPS` combinations of categories ``(G, K)``."""
    total = int(np.prod(sizes, dtype=np.int64))
    chosen = np.linspace(0, total - 1, min(total, MAX_GROUPS)).round().astype(np.int64)
    if not sizes:
        return np.empty((1, 0), np.int64)
    return np.stack(np.unravel_index(chosen, sizes), axis=1).astype(np.int64)
