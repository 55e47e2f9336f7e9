"""The factors that the images of a data set were made from."""

from __future__ import annotations

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

    def subset(self, index: torch.Tensor) -> Factors:
        """Return the factors of the images of an index ``(n,)``."""
        return replace(self, values=self.values[index])


def all_combinations(levels: Mapping[str, Sequence[str | float]]) -> Factors:
    """Return every combination of the levels, the last factor varying fastest."""
    sizes = tuple(len(values) for values in levels.values())
    number = torch.arange(torch.tensor(sizes).prod().item())
    return Factors(
        names=tuple(levels),
        levels=tuple(tuple(values) for values in levels.values()),
        values=torch.stack(torch.unravel_index(number, sizes), dim=1),
    )
