"""Averaged weights: steadier than the last ones of a noisy training."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

__all__ = ["average_into", "averaged_copy"]

M = TypeVar("M", bound=nn.Module)


def averaged_copy(module: M) -> M:
    """Return a copy to average into: in evaluation mode, not moved by any optimizer."""
    return copy.deepcopy(module).eval().requires_grad_(False)


@torch.no_grad()
def average_into(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Take ``module`` as it is now into ``average``, weights and running statistics.

    Args:
        average: From :func:`averaged_copy`.
        module: Of the same shape.
        decay: Share of the average that stays.
    """
    pairs = list(zip(average.state_dict().values(), module.state_dict().values(), strict=True))
    weights = [pair for pair in pairs if pair[0].is_floating_point()]
    # In one call: asking a GPU for thirty small sums takes longer than what they are.
    torch._foreach_lerp_([mine for mine, _ in weights], [theirs for _, theirs in weights], 1 - decay)
    for mine, theirs in pairs:
        if not mine.is_floating_point():
            mine.copy_(theirs)
