"""Sums of scalars that stay on the device and are read once per logging interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Meters:
    """Means of named scalars over a logging interval.

    Args:
        names: One per scalar.
        device: Where the sums are.
    """

    def __init__(self, names: list[str], device: torch.device) -> None:
        self.names = names
        self.sums = torch.zeros(len(names), dtype=torch.float64, device=device)
        self.count = 0

    def add(self, scalars: Tensor) -> None:
        """Add scalars ``(len(names),)``; nothing is read back from the device."""
        self.sums += scalars
        self.count += 1

    def read(self) -> dict[str, float]:
        """Return the means of the interval so far; something must have been added."""
        return dict(zip(self.names, (self.sums / self.count).tolist(), strict=True))

    def reset(self) -> None:
        """Start a new interval."""
        self.sums.zero_()
        self.count = 0

    def load(self, sums: Tensor, count: int) -> None:
        """Restore an interval from a checkpoint."""
        self.sums.copy_(sums)
        self.count = count
