"""Architectures of your own: what is accepted, and what is told in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from training_images import planned

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.infogan.architecture_registry import (
    ARCHITECTURES,
    check_forward,
    register_architecture,
)
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig, TrainConfig

    Part = Callable[[int, ImageSpec], Any]


def linear_generator(latent_dim: int, image: ImageSpec) -> nn.Module:
    shape = (image.channels, image.size, image.size)
    return nn.Sequential(nn.Linear(latent_dim, image.channels * image.size**2), nn.Unflatten(1, shape))


def map_trunk(_: int, image: ImageSpec) -> nn.Module:
    return nn.Conv2d(image.channels, 6, 4, stride=4)


def vector_trunk(_: int, image: ImageSpec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(image.channels * image.size**2, 5), nn.BatchNorm1d(5))


def register(generator: Part = linear_generator, trunk: Part = map_trunk, **more: object) -> None:
    @register_architecture("tested")
    def make(networks: NetworkConfig, latent_dim: int, image: ImageSpec) -> SimpleNamespace:
        assert networks.base_width == 4
        parts = {"generator": generator(latent_dim, image), "trunk": trunk(latent_dim, image)}
        return SimpleNamespace(**parts, **more)


@pytest.fixture
def config(small: Callable[..., TrainConfig]) -> TrainConfig:
    return small({"networks": {"architecture": "tested"}, "optimizer": {"ema_decay": 0.9}})


@pytest.mark.parametrize(("trunk", "features"), [(map_trunk, (6, 7)), (vector_trunk, (5, 1))])
def test_own_networks_are_used_with_the_weights_that_they_are_made_with(
    config: TrainConfig, trunk: Part, features: tuple[int, int]
) -> None:
    register(trunk=trunk)
    networks = build_networks(config, size=28, channels=1)
    assert networks.trunk.feature_shape == features
    images = networks.generator(torch.rand(3, config.latent.dim))
    assert images.shape == (3, 1, 28, 28)
    assert 0 < images.min().item() < images.max().item() < 1, "the last activation is added"
    assert networks.discriminate(images).shape == (3,)
    assert networks.infer(images).mean.shape == (3, 2)
    again = build_networks(config, size=28, channels=1)
    pairs = zip(networks.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    weight = networks.generator.layers[0].weight
    assert weight.abs().max().item() < config.latent.dim**-0.5 + 1e-6, "torch's initialisation is kept"
    assert networks.training


def test_a_separate_q_uses_the_own_encoder_or_that_of_infogan(small: Callable[..., TrainConfig]) -> None:
    config = small({"networks": {"architecture": "tested", "q": "separate", "q_features": 9}})
    register()
    assert isinstance(build_networks(config, size=28, channels=1).q_category.layers[0], nn.Conv2d)
    register(encoder=vector_encoder)
    networks = build_networks(config, size=28, channels=1)
    assert isinstance(networks.q_category.layers[0], nn.Flatten)
    assert networks.infer(torch.rand(3, 1, 28, 28)).logits.shape == (3, 10)
    register(encoder=lambda _: vector_encoder(3))
    with pytest.raises(UsageError, match=r"encoder returns \(2, 3\) for 2 inputs, not features \(2, 9\)"):
        build_networks(config, size=28, channels=1)


def test_mean_start_needs_a_last_layer_with_a_bias_for_each_channel(
    small: Callable[..., TrainConfig], mnist: Tensor
) -> None:
    config = small({"networks": {"architecture": "tested", "mean_start": True}})
    register(lambda n, i: nn.Sequential(linear_generator(n, i), nn.Conv2d(1, 1, 3, padding=1)))
    planned(config, mnist).check()
    register()
    with pytest.raises(UsageError, match=r"add --set networks\.mean_start=false"):
        planned(config, mnist).check()


def vector_encoder(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, width))


class Nan(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * float("nan")


class Forgets(nn.Module):
    """Keeps a tensor that ``to(device)`` does not move."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator, self.scale = generator, torch.ones(1)

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generator(latents) * self.scale
        return images


class Hides(nn.Module):
    """Keeps its layers where ``parameters()`` does not find them."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generators = [generator]

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generators[0](latents)
        return images


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"generator": lambda n, _: nn.Sequential(nn.Linear(n, 81), nn.Unflatten(1, (1, 9, 9)))},
            "generator returns (2, 1, 9, 9) for 2 inputs, not images (2, 1, 28, 28)",
        ),
        ({"generator": lambda n, _: nn.Linear(n + 1, 3)}, "generator: RuntimeError: "),
        (
            {"generator": lambda n, i: nn.Sequential(linear_generator(n, i), Nan())},
            "generator are not finite",
        ),
        ({"generator": lambda *_: None}, "generator must be a torch.nn.Module, not NoneType"),
        ({"generator": lambda n, i: linear_generator(n, i).to("meta")}, "generator has parameters on meta"),
        (
            {"generator": lambda n, i: Hides(linear_generator(n, i))},
            "generator has no parameters to train: keep its layers in attributes",
        ),
        ({"trunk": lambda *_: nn.Conv2d(1, 3, (2, 4), (2, 4))}, "trunk returns (2, 3, 14, 7) for 2 inputs"),
        ({"trunk": lambda *_: nn.Conv2d(3, 6, 4)}, "trunk: RuntimeError"),
        (
            {"trunk": lambda *_: nn.BatchNorm2d(1, track_running_stats=False)},
            "trunk has a BatchNorm with track_running_stats=False: leave this out",
        ),
        ({"trunk": lambda *_: nn.Flatten(0)}, "trunk returns (1568,) for 2 inputs"),
        ({"trunk": lambda *_: 1 / 0}, "architecture 'tested': ZeroDivisionError"),
    ],
)
def test_networks_that_do_not_fit_are_told_in_one_line(
    config: TrainConfig, parts: dict[str, Part], message: str
) -> None:
    register(**parts)
    with pytest.raises(UsageError) as error:
        build_networks(config, size=28, channels=1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tensor_left_on_another_device_is_told(config: TrainConfig) -> None:
    register(generator=lambda n, i: Forgets(linear_generator(n, i)))
    networks = build_networks(config, size=28, channels=1)
    networks.generator.layers[0].scale = torch.ones(1, device="meta")
    with pytest.raises(UsageError, match=r"architecture 'tested': generator: .*meta"):
        check_forward(config, networks.image, networks.generator, networks.trunk)


def test_names_of_the_package_are_not_replaced() -> None:
    with pytest.raises(UsageError, match="part of infogan-tool"):
        register_architecture("dcgan")(lambda *_: None)
    assert ARCHITECTURES.names[:5] == ["infogan", "dcgan", "upsample", "mlp", "residual"]
