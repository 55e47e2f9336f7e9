"""Shapes, initial weights and EMA of the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.axes import first_layer
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.sample_sheet import write_code_sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.train.config.schema import TrainConfig


@pytest.mark.parametrize("size", [6, 17, 30, 100])
def test_size_that_does_not_halve_is_refused_with_the_nearest(
    small: Callable[..., TrainConfig], size: int
) -> None:
    with pytest.raises(UsageError, match=r"use --size \d+ or \d+") as error:
        build_networks(small(), size=size, channels=1)
    for nearest in str(error.value).split("--size ")[1].split(" or "):
        build_networks(small(), size=int(nearest), channels=1)


def test_weights_depend_on_the_seed_alone(small: Callable[..., TrainConfig]) -> None:
    torch.manual_seed(1)
    first = build_networks(small(), size=28, channels=1).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build_networks(small(), size=28, channels=1).state_dict()
    assert torch.equal(torch.get_rng_state(), state), "building networks leaves torch's generator unchanged"
    other = build_networks(small({"seed": 1}), size=28, channels=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["trunk.layers.0.weight"], other["trunk.layers.0.weight"])


def test_log_variance_stays_inside_its_bounds(small: Callable[..., TrainConfig]) -> None:
    networks = build_networks(small({"objective": {"log_variance_range": [-3, 1]}}), size=28, channels=1)
    assert networks.q_category.log_var is not None
    for bias, bound in ((-1e4, -3.0), (1e4, 1.0)):
        nn.init.constant_(networks.q_category.log_var.bias, bias)
        log_var = networks.infer(torch.rand(4, 1, 28, 28)).log_var
        torch.testing.assert_close(log_var, torch.full((4, 2), bound))


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
@pytest.mark.parametrize("architecture", ["infogan", "dcgan", "upsample", "residual", "mlp"])
def test_g_begins_with_the_mean_colour_of_the_images(
    small: Callable[..., TrainConfig], architecture: str, output: str
) -> None:
    nets = {"architecture": architecture, "output": output, "mean_start": True}
    config = small({"networks": nets, "optimizer": {"ema_decay": 0.9}})
    networks = build_networks(config, size=32, channels=3)
    images = (
        torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8) // torch.tensor([4, 2, 1])[:, None, None]
    )
    AdversarialStage(Session(config=config, networks=networks, images=images)).begin()
    expected = images.double().mean(dim=(0, 2, 3)) / 255
    for generator in (networks.generator, networks.generator_ema):
        assert generator is not None
        bias = generator.last_bias(3).double().detach()
        colour = bias.sigmoid() if output == "sigmoid" else (1 + bias.tanh()) / 2
        torch.testing.assert_close(colour, expected, atol=1e-6, rtol=0)
    latents = sample_latents(config.latent, 64, torch.Generator().manual_seed(0))
    image = networks.image
    share = (networks.generator(latents.vector()).mean(dim=(0, 2, 3)) - image.low) / (image.high - image.low)
    if architecture != "residual":  # its weights are not small
        torch.testing.assert_close(share.double(), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_g_does_not_begin_where_its_gradient_is_zero(small: Callable[..., TrainConfig], value: float) -> None:
    networks = build_networks(small(), size=28, channels=1)
    networks.generator.set_mean(torch.tensor([value]))
    latents = sample_latents(networks.latent, 8, torch.Generator().manual_seed(0))
    images = networks.generator(latents.vector())
    assert (images - value).abs().max().item() == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("latent", [{"categorical": []}, {"continuous": 0}, {"noise": 0}])
def test_absent_parts_of_the_latent(small: Callable[..., TrainConfig], latent: dict[str, object]) -> None:
    config = small({"latent": latent})
    networks = build_networks(config, size=28, channels=1)
    posterior = networks.infer(networks.generator(torch.zeros(2, config.latent.dim)))
    assert posterior.logits.shape == (2, config.latent.num_logits)
    assert posterior.mean.shape == (2, config.latent.continuous)


def test_a_conditional_d_adds_the_category_to_the_image(small: Callable[..., TrainConfig]) -> None:
    networks_of = {"q": "separate", "conditional": True}
    config = small({"networks": networks_of, "clustering": {}})
    networks = build_networks(config, size=16, channels=1)
    images, kinds = torch.rand(5, 1, 16, 16), torch.tensor([0, 3, 9, 3, 1])
    networks.eval()
    features = networks.trunk(images)
    maps = networks.d_head.logit(features).flatten(1)
    assert maps.shape == (5, 1 + config.latent.categorical[0])
    expected = torch.stack([row[0] + row[1 + int(kind)] for row, kind in zip(maps, kinds, strict=True)])
    assert torch.allclose(networks.discriminate(images, kinds), expected)
    assert not torch.allclose(networks.discriminate(images, kinds.flip(0)), expected)


def test_a_conditional_d_may_be_told_an_angle(small: Callable[..., TrainConfig]) -> None:
    config = small(
        {
            "networks": {"conditional": True},
            "clustering": {},
            "latent": {"periodic": ["c2"]},
            "objective": {"information_update": "shared", "transformations": ["scale", "turn"]},
        }
    )
    assert config.condition_column == 1
    networks = build_networks(config, size=16, channels=1).eval()
    images, kinds, turn = torch.rand(4, 1, 16, 16), torch.tensor([0, 3, 9, 3]), torch.rand(4, 2)
    maps = networks.d_head.logit(networks.trunk(images)).flatten(1)
    assert maps.shape == (4, 1 + 10 + 2)
    told = networks.discriminate(images, kinds, turn) - networks.discriminate(images, kinds)
    torch.testing.assert_close(told, maps[:, 11] * turn[:, 0] + maps[:, 12] * turn[:, 1])


def test_g_has_no_jump_between_the_ends_of_a_periodic_code(small: Callable[..., TrainConfig]) -> None:
    config = small({"latent": {"continuous": 3, "periodic": ["c1", "c3"]}})
    networks = build_networks(config, size=28, channels=1).eval()
    weight = first_layer(networks.generator).weight
    assert len(weight) == config.latent.dim + 2
    with torch.no_grad():  # effects large enough to be measured
        weight *= 100
    latent = sample_latents(config.latent, 8, torch.Generator().manual_seed(0))

    def moved(code: int, by: float) -> Tensor:
        styles = latent.styles.clone()
        styles[:, code] += by
        images: Tensor = networks.generator(replace(latent, styles=styles).vector())
        return images

    there = moved(0, 0)
    for code in (0, 2):
        torch.testing.assert_close(moved(code, 2), there)
        assert (moved(code, 1) - there).abs().max() > 1e-4
    assert (moved(1, 2) - there).abs().max() > 1e-4, "c2 is not periodic"


def test_ema_of_g_loses_its_initial_weights(small: Callable[..., TrainConfig]) -> None:
    networks = build_networks(small({"optimizer": {"ema_decay": 0.999}}), size=28, channels=1)
    assert networks.generator_ema is not None
    mine, theirs = (net.layers[0].weight for net in (networks.generator_ema, networks.generator))
    first = mine.clone()
    with torch.no_grad():
        theirs.fill_(1.0)
    left = 1.0
    for index in range(30):
        networks.update_generator_ema(index)
        left *= (1 + index) / (10 + index)
    assert torch.allclose(mine, 1 + left * (first - 1))
    assert left < 1e-6
    mine.fill_(0.0)
    networks.update_generator_ema(10**6)
    assert mine.flatten()[0].item() == pytest.approx(0.001, rel=1e-4)


def test_row_of_a_code_sheet_ends_after_the_last_category(
    small: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    config = small({"latent": {"categorical": [3, 12], "continuous": 1}})
    networks = build_networks(config, size=8, channels=1)
    write_code_sheet(tmp_path / "codes.png", networks, seed=0)
    pixels = np.asarray(Image.open(tmp_path / "codes.png"))
    cells = pixels[2:, 2:].reshape(3, 10, 10, 10).swapaxes(1, 2)[:, :, :8, :8]
    assert (cells == 255).all(axis=(2, 3)).sum(axis=1).tolist() == [7, 0, 0]
    assert (cells[0, 3:] == 255).all()
