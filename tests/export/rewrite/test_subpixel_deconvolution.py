"""Two transposed convolutions written as plain convolutions compute what the two compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from infogan_tool.export.rewrite.layer_folding import fold_layers
from infogan_tool.export.rewrite.subpixel_deconvolution import SubpixelPair, is_subpixel_pair


def deconv(inputs: int, outputs: int, **settings: object) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, **{"kernel_size": 4, "stride": 2, "padding": 1} | settings)


@pytest.mark.parametrize("shape", [(7, 7), (1, 1), (4, 5)])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_same_function(shape: tuple[int, int], outputs: int, bias: bool) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        deconv(6, 5, bias=bias), nn.LeakyReLU(0.1), deconv(5, outputs, bias=bias), nn.Tanh()
    ).double()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            packed = SubpixelPair(*layers)
            maps = torch.randn(3, 6, *shape)
            torch.testing.assert_close(packed(maps), layers(maps), atol=1e-12, rtol=0)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_last_pair_of_a_generator_is_packed() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.ConvTranspose2d(9, 70, 4),
        nn.BatchNorm2d(70),
        nn.ReLU(),
        deconv(70, 40),
        nn.ReLU(),
        deconv(40, 6),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        deconv(6, 1),
        nn.Sigmoid(),
    ).eval()
    latent = torch.randn(3, 9, 1, 1)
    form = fold_layers(layers, latent)
    kinds = [type(module).__name__ for module in form]
    # The activation of a product comes before its reshaping, where it can be part of the product.
    assert kinds == ["Linear", "ReLU", "Unflatten", "ConvTranspose2d", "ReLU", "SubpixelPair"]
    with torch.inference_mode():
        torch.testing.assert_close(form(latent.flatten(1)), layers(latent), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("first", "activation", "second"),
    [
        (deconv(64, 32), nn.ReLU(), deconv(32, 3)),  # too few channels in for three out: it would be slower
        (deconv(64, 32, groups=2), nn.ReLU(), deconv(32, 1)),
        (deconv(64, 32), nn.ReLU(), deconv(32, 1, output_padding=1)),
        (deconv(64, 32, kernel_size=3), nn.ReLU(), deconv(32, 1)),
        (deconv(64, 32), nn.BatchNorm2d(32), deconv(32, 1)),
        (deconv(64, 32), nn.ReLU(), nn.Conv2d(32, 1, 4, 2, 1)),
    ],
)
def test_what_is_not_packed(first: nn.Module, activation: nn.Module, second: nn.Module) -> None:
    assert not is_subpixel_pair(first, activation, second)
    assert is_subpixel_pair(deconv(64, 32), nn.ReLU(), deconv(32, 1))
