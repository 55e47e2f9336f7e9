"""How weights lie in memory, where that decides how fast the CPU computes convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from infogan_tool.train.infogan.layers import MapToVector, VectorToMap

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["like_memory_format", "to_memory_format"]

M = TypeVar("M", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_PRODUCTS = (MapToVector, VectorToMap)
"""Their weights have a form of their own; see products.py."""


def to_memory_format(networks: M) -> M:
    """Put weights of convolutions channels last on a CPU with AVX2 and no AVX-512, and return ``networks``.

    Maps then come channels last as well. There it saves oneDNN changes of form between its passes; with
    AVX-512 it saves nothing (docs/results/speed.md). What is computed is the same but for the rounding.
    Nothing outside of this process sees it: checkpoints hold every tensor in the order of its dimensions.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return networks
    for module in networks.modules():
        if isinstance(module, _CONVOLUTIONS) and not isinstance(module, _PRODUCTS):
            weight = module.weight
            if weight.device.type == "cpu":
                # Not contiguous(): weights of one channel are both at once, and would stay as they are.
                weight.data = weight.data.to(memory_format=torch.channels_last)
    return networks


def like_memory_format(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return ``tensor`` as ``parameter`` lies in memory, which fused optimizers take for granted."""
    return torch.empty_like(parameter).copy_(tensor)
