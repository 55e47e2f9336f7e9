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
    for mine, theirs in zip(average.state_dict().values(), module.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - decay)
        else:
            mine.copy_(theirs)
