"""Layers of each architecture, and the image sizes that it supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.engine.layers import UpsampledConv
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig

SIZES = {
    "infogan": (8, 16, 20, 28, 32, 64),
    "dcgan": (8, 24, 28, 32, 64),
    "upsample": (8, 12, 28, 32),
    "residual": (8, 28),
    "mlp": (9, 28),
}


@pytest.mark.parametrize(
    ("architecture", "size"), [(name, size) for name, sizes in SIZES.items() for size in sizes]
)
@pytest.mark.parametrize(("q", "channels"), [("shared", 3), ("separate", 1)])
def test_every_architecture_has_the_same_shapes(
    small: Callable[..., TrainConfig], architecture: str, size: int, q: str, channels: int
) -> None:
    config = small({"networks": {"architecture": architecture, "q": q}})
    networks = build_networks(config, size=size, channels=channels)
    images = networks.generator(torch.randn(3, config.latent.dim))
    assert images.shape == (3, channels, size, size)
    assert 0 <= images.min().item() < images.max().item() <= 1
    assert networks.discriminate(images).shape == (3,)
    posterior = networks.infer(images)
    assert posterior.logits.shape == (3, 10)
    assert posterior.mean.shape == posterior.log_var.shape == (3, 2)


@pytest.mark.parametrize(
    ("architecture", "size", "nearest"),
    [("dcgan", 30, "28 or 32"), ("upsample", 30, "28 or 32"), ("upsample", 9, "8 or 12")],
)
def test_an_unsupported_size_is_refused(
    small: Callable[..., TrainConfig], architecture: str, size: int, nearest: str
) -> None:
    config = small({"networks": {"architecture": architecture}})
    with pytest.raises(UsageError, match=f"use --size {nearest}"):
        build_networks(config, size=size, channels=1)


def shapes(part: nn.Module) -> list[tuple[str, int, int, int, int]]:
    """Kind, channels in and out, kernel and stride of each convolution."""
    return [
        (kind.__name__, m.in_channels, m.out_channels, int(m.kernel_size[0]), int(m.stride[0]))
        for m in part.modules()
        for kind in (nn.Conv2d, nn.ConvTranspose2d)
        if isinstance(m, kind)
    ]


def test_paper_has_the_layers_of_the_paper() -> None:
    networks = build_networks(resolve_config(preset="paper"), size=28, channels=1)
    up, down = "ConvTranspose2d", "Conv2d"
    assert shapes(networks.generator) == [
        (up, 74, 1024, 1, 1),
        (up, 1024, 128, 7, 1),
        (up, 128, 64, 4, 2),
        (up, 64, 1, 4, 2),
    ]
    assert shapes(networks.trunk) == [(down, 1, 64, 4, 2), (down, 64, 128, 4, 2), (down, 128, 1024, 7, 1)]
    assert shapes(networks.d_head) == [(down, 1024, 1, 1, 1)]
    heads = [(down, 128, outputs, 1, 1) for outputs in (10, 2, 2)]
    assert shapes(networks.q) == [(down, 1024, 128, 1, 1), *heads]
    weights = torch.cat([m.weight.flatten() for m in networks.modules() if isinstance(m, nn.ConvTranspose2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    scales = torch.cat([m.weight for m in networks.modules() if isinstance(m, nn.BatchNorm2d)])
    assert scales.mean().item() == pytest.approx(1, abs=0.002)
    assert scales.std().item() == pytest.approx(0.02, rel=0.1)


def test_lab_is_a_dcgan() -> None:
    networks = build_networks(resolve_config(preset="lab"), size=64, channels=1)
    up, down = "ConvTranspose2d", "Conv2d"
    assert shapes(networks.generator) == [
        (up, 64, 512, 4, 1),
        (up, 512, 256, 4, 2),
        (up, 256, 128, 4, 2),
        (up, 128, 64, 4, 2),
        (up, 64, 1, 4, 2),
    ]
    assert shapes(networks.trunk) == [
        (down, 1, 64, 4, 2),
        (down, 64, 128, 4, 2),
        (down, 128, 256, 4, 2),
        (down, 256, 512, 4, 2),
    ]
    assert shapes(networks.d_head) == [(down, 512, 1, 4, 1)]
    assert shapes(networks.q) == [(down, 512, 128, 4, 1), (down, 128, 10, 1, 1)]
    assert networks.latent.dim == 64


def test_upsample_has_one_transposed_convolution_the_first_layer() -> None:
    config = resolve_config(preset="upsample")
    networks = build_networks(config, size=32, channels=1)
    assert shapes(networks.generator) == [
        ("ConvTranspose2d", 74, 128, 8, 1),  # of a 1 x 1 map: a linear layer
        ("Conv2d", 128, 128, 3, 1),
        ("Conv2d", 128, 64, 3, 1),
        ("Conv2d", 64, 1, 3, 1),
    ]
    assert sum(isinstance(m, UpsampledConv) for m in networks.generator.modules()) == 2
    assert [s[1:] for s in shapes(networks.trunk)] == [
        (1, 16, 3, 2),
        (16, 32, 3, 2),
        (32, 64, 3, 2),
        (64, 128, 3, 2),
    ]
    drops = [m.p for m in networks.trunk.modules() if isinstance(m, nn.Dropout2d)]
    assert drops == [0.25] * 4
    norms = [m.eps for m in networks.modules() if isinstance(m, nn.BatchNorm2d)]
    assert set(norms) == {1e-5}


def test_ds_first_layer_has_no_batchnorm(small: Callable[..., TrainConfig]) -> None:
    for architecture in SIZES:
        trunk = build_networks(small({"networks": {"architecture": architecture}}), size=28, channels=1).trunk
        first, second = [part for part in trunk.modules() if not list(part.children())][:2]
        assert not isinstance(second, nn.BatchNorm2d) or architecture == "residual", "inside of a block"
        assert isinstance(first, nn.Conv2d)
        assert first.bias is not None


def test_a_fixed_variance_is_the_same_everywhere(small: Callable[..., TrainConfig]) -> None:
    networks = build_networks(small({"objective": {"fixed_variance": 0.5}}), size=28, channels=1)
    log_var = networks.infer(torch.rand(4, 1, 28, 28)).log_var
    torch.testing.assert_close(log_var.exp(), torch.full((4, 2), 0.5))
    assert networks.q_category.log_var is None
