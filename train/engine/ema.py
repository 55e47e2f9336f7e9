"""Exponential moving average (EMA) of weights."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def ema_copy(module: M) -> M:
    """Return a copy to keep an average in: in evaluation mode, without gradients."""
    return copy.deepcopy(module).eval().requires_grad_(False)


@torch.no_grad()
def update_ema(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Update an average: ``decay`` x average + (1 - ``decay``) x module, of weights and running statistics.

    Args:
        average: From :func:`ema_copy`.
        module: Of the same shape.
        decay: Weight of the old average, 0 to 1.
    """
    pairs = list(zip(average.state_dict().values(), module.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    # One fused call: on a GPU thirty separate ones take longer to launch than to compute.
    torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], 1 - decay)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)
