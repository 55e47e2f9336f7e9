"""Memory format of weights, which decides how fast a CPU computes convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from infogan_tool.train.distributed.device import cpu_has
from infogan_tool.train.engine.layers import MapToVector, UpsampledConv, VectorToMap

if TYPE_CHECKING:
    from torch import Tensor

M = TypeVar("M", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_PRODUCTS = (MapToVector, VectorToMap)


def channels_last_is_faster() -> bool:
    """Return whether this CPU convolves maps faster whose channels are last in memory.

    That is so with AVX2 and no more, and with AMX; with AVX-512 alone it gains nothing
    (docs/results/speed.md).
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX2" or cpu_has("amx_tile")


def to_memory_format(networks: M) -> M:
    """Convert weights of convolutions to channels last on a CPU where that is faster, in place.

    Feature maps are then channels last too, which saves oneDNN conversions between its passes. Results are
    the same up to rounding. Checkpoints do not depend on it: they hold every tensor in the order of its
    dimensions.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in networks.parameters())
    if not on_cpu or not channels_last_is_faster():
        return networks
    for module in networks.modules():
        if isinstance(module, _CONVOLUTIONS) and not isinstance(module, _PRODUCTS):
            # Of a weight with a parametrization, such as spectral normalisation, this is the original.
            weight = next(p for p in module.parameters() if p.ndim > 1)
            # contiguous() would not change weights of one channel, which are in both formats at once.
            weight.data = weight.data.to(memory_format=torch.channels_last)
        if isinstance(module, (VectorToMap, UpsampledConv)):
            module.memory_format = torch.channels_last
    return networks


def like_memory_format(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return ``tensor`` in the memory format of ``parameter``, which fused optimizers require."""
    return torch.empty_like(parameter).copy_(tensor)
