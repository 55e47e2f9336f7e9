"""Convolutions computed in another way against torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from infogan_tool.train.engine.layers import MapToVector, MeanConv, UpsampledConv, VectorToMap

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (lambda bias: MapToVector(6, 5, 4, bias=bias), nn.Conv2d.forward, (3, 6, 4, 4)),
        (lambda bias: VectorToMap(6, 5, 4, bias=bias), nn.ConvTranspose2d.forward, (3, 6, 1, 1)),
        (
            lambda bias: UpsampledConv(6, 5, bias=bias),
            lambda layer, maps: nn.Conv2d.forward(layer, interpolate(maps, scale_factor=2)),
            (3, 6, 3, 4),
        ),
        (
            lambda bias: MeanConv(6, 5, bias=bias),
            lambda layer, maps: avg_pool2d(nn.Conv2d.forward(layer, maps), 2),
            (3, 6, 6, 4),
        ),
    ],
)
def test_values_and_gradients_equal_the_convolutions(
    ours: Callable[[bool], nn.Conv2d | nn.ConvTranspose2d],
    theirs: Callable[[nn.Module, Tensor], Tensor],
    shape: tuple[int, ...],
    bias: bool,
) -> None:
    torch.manual_seed(0)
    layer = ours(bias)
    inputs = torch.randn(shape, requires_grad=True)
    moved = [inputs, *layer.parameters()]
    product, convolution = layer(inputs), theirs(layer, inputs)
    assert product.shape == convolution.shape
    torch.testing.assert_close(product, convolution)
    for mine, reference in zip(
        torch.autograd.grad(product.square().sum(), moved),
        torch.autograd.grad(convolution.square().sum(), moved),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        MapToVector(6, 5, 4)(torch.randn(3, 6, 5, 5))
