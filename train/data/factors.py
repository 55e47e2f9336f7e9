"""The factors that the images of a data set were made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factors:
    """The factors of each image. For evaluation only; training does not use them."""

    names: tuple[str, ...]
    """Name of each factor."""
    levels: tuple[tuple[str | float, ...], ...]
    """The values of each factor, by level."""
    values: torch.Tensor
    """Level of each image in each factor, int64 ``(N, number of factors)``."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each factor."""
        return tuple(len(levels) for levels in self.levels)

    @property
    def ordered(self) -> tuple[bool, ...]:
        """Whether the levels of each factor are numbers, in ascending order."""
        return tuple(not isinstance(levels[0], str) for levels in self.levels)

    def subset(self, index: torch.Tensor | slice) -> Factors:
        """Return the factors of the images of an index ``(n,)`` or a slice."""
        return replace(self, values=self.values[index])


def unravel(index: torch.Tensor, sizes: Sequence[int]) -> list[torch.Tensor]:
    """Return the level of each factor ``(n,)`` of images numbered as :func:`all_combinations` does.

    As ``torch.unravel_index``, which cannot be captured in a CUDA graph.

    Args:
        index: ``(n,)`` int64.
        sizes: Number of levels of each factor.
    """
    levels = []
    for size in reversed(sizes):
        levels.append(index % size)
        index = index // size
    return levels[::-1]


def all_combinations(levels: Mapping[str, Sequence[str | float]]) -> Factors:
    """Return every combination of the levels, the last factor varying fastest."""
    sizes = tuple(len(values) for values in levels.values())
    number = torch.arange(math.prod(sizes))
    return Factors(
        names=tuple(levels),
        levels=tuple(tuple(values) for values in levels.values()),
        values=torch.stack(unravel(number, sizes), dim=1),
    )
