"""Rotation of the continuous codes to independent effects: on functions of known axes, and on networks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from adversarial_steps import make_step
from torch import Tensor, nn

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine.layers import VectorToMap
from infogan_tool.train.infogan.axes import (
    align_codes,
    aligning_rotation,
    first_layer,
    measure_derivatives,
    ordered_axes,
    plane_angle,
)
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.objective import smoothed

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig

RNG = torch.Generator().manual_seed(0)
STYLES = torch.rand(80, 4, generator=RNG, dtype=torch.float64) * 2 - 1
BASES = torch.randn(8, 12, 12, generator=RNG, dtype=torch.float64)


def independent_effects(factors: Tensor) -> Tensor:
    """Images ``(N, 1, 12, 12)`` that each of K factors changes on its own, with a curvature of its own."""
    powers = torch.stack([factors, (torch.arange(factors.shape[1]) + 1) * factors.square()], dim=2).flatten(1)
    return torch.einsum("nk,khw->nhw", powers, BASES[: powers.shape[1]])[:, None]


def random_rotation(size: int, seed: int) -> Tensor:
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(matrix)[0]
    return rotation


@pytest.mark.parametrize(("size", "seed"), [(2, 1), (3, 2), (4, 3), (4, 4)])
def test_rotated_codes_are_turned_back(size: int, seed: int) -> None:
    mixing = random_rotation(size, seed)
    found = measure_derivatives(lambda c: independent_effects(c @ mixing), STYLES[:, :size])
    rotation = aligning_rotation(found.moments)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(size, dtype=torch.float64))
    effective = (rotation @ mixing).abs()  # of each new code on each factor
    assert (effective.amax(dim=1) > 0.999).all()
    assert sorted(effective.argmax(dim=1).tolist()) == list(range(size)), "a permutation, up to signs"
    turned = measure_derivatives(lambda c: independent_effects(c @ rotation @ mixing), STYLES[:, :size])
    assert max(abs(plane_angle(turned.moments, 0, j)[0]) for j in range(1, size)) < 0.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_axes_are_ordered_by_their_effects_and_point_to_more(seed: int) -> None:
    """Two codes of any rotation end as the same factors, with the same signs."""
    mixing = random_rotation(3, seed)

    def generate(codes: Tensor) -> Tensor:
        width, light, lean = (codes @ mixing).T[:, :, None, None]
        x = torch.linspace(-1, 1, 24, dtype=torch.float64)
        y = -x[:, None]
        bar = torch.exp(-(((x - 0.5 * lean * y) / (0.3 * (0.2 * width).exp())) ** 2) - 4 * y**2)
        return (bar + 0.1 * light * (1 + y))[:, None]

    found = measure_derivatives(generate, STYLES[:, :3])
    rotation = aligning_rotation(found.moments)
    axes, order = ordered_axes(found, rotation)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(axes.abs(), rotation[order].abs())
    ordered = measure_derivatives(lambda codes: generate(codes @ axes), STYLES[:, :3])
    assert (ordered.sizes.diff() < 0).all()
    for effect in ordered.coarse:
        assert effect[effect.abs().argmax()] > 0
    again, same = ordered_axes(ordered, torch.eye(3, dtype=torch.float64))
    assert same == [0, 1, 2]
    torch.testing.assert_close(again, torch.eye(3, dtype=torch.float64))


def test_an_axis_without_effect_comes_last_as_it_is() -> None:
    found = measure_derivatives(
        lambda c: torch.einsum("nk,khw->nhw", c * torch.tensor([-1.0, 0, -5]), BASES[:3].abs())[:, None],
        STYLES[:, :3],
    )
    eye = torch.eye(3, dtype=torch.float64)
    axes, order = ordered_axes(found, eye)
    assert order == [2, 0, 1]
    torch.testing.assert_close(axes, torch.stack([-eye[2], -eye[0], eye[1]]))


@pytest.mark.parametrize("degrees", [-40.0, -17.0, 0.0, 8.0, 30.0, 44.0])
def test_angle_of_two_codes(degrees: float) -> None:
    turn = math.radians(degrees)
    mixing = torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=torch.float64
    )
    found = measure_derivatives(lambda c: independent_effects(c @ mixing), STYLES[:, :2])
    angle, contrast = plane_angle(found.moments, 0, 1)
    assert angle == pytest.approx(degrees, abs=1e-3)
    assert contrast > 100


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own forward derivatives
def test_moments_are_those_of_autograd() -> None:
    mixing = random_rotation(3, 5)

    def image(code: Tensor) -> Tensor:
        return smoothed(independent_effects((code @ mixing)[None])).flatten()

    found = measure_derivatives(lambda c: independent_effects(c @ mixing), STYLES[:, :3])
    centre = STYLES[:, :3] * 0.75
    first = torch.func.vmap(torch.func.jacfwd(image))(centre)
    second = torch.func.vmap(torch.func.jacfwd(torch.func.jacfwd(image)))(centre)
    torch.testing.assert_close(found.sizes, first.square().sum(dim=1).mean(dim=0).sqrt())
    moments = torch.einsum("npij,npkl->ijkl", second, second) / len(second)
    torch.testing.assert_close(found.moments, moments, atol=1e-6, rtol=1e-6)


def test_aligned_codes_and_codes_without_curvature_stay() -> None:
    for generate in (independent_effects, lambda c: torch.einsum("nk,khw->nhw", c, BASES[:3])[:, None]):
        found = measure_derivatives(generate, STYLES[:, :3])
        torch.testing.assert_close(aligning_rotation(found.moments), torch.eye(3, dtype=torch.float64))


def test_sizes_are_norms_of_first_derivatives() -> None:
    found = measure_derivatives(
        lambda c: c[:, :2].sum(dim=1)[:, None, None, None].expand(-1, 1, 8, 8) * 3, STYLES[:, :3]
    )
    # 3 in each of 64 pixels; smoothing lowers the border, where it averages with zeros.
    assert found.sizes[0] == pytest.approx(found.sizes[1])
    assert 0.75 * 24 < found.sizes[0] < 24
    assert found.sizes[2] == 0


@pytest.mark.parametrize(
    ("changes", "movers"),
    [
        ({}, ["G"]),
        ({"networks": {"q": "separate"}, "optimizer": {"ema_decay": 0.9}}, ["G"]),
        ({"objective": {"information_update": "separate_step"}}, ["G", "L_I"]),
    ],
)
def test_networks_compute_the_same_of_rotated_codes(
    small: Callable[..., TrainConfig], mnist: Tensor, changes: dict[str, dict[str, object]], movers: list[str]
) -> None:
    config = small({"latent": {"continuous": 3}, **changes})
    step, rng = make_step(config)
    networks = step.networks
    real = mnist[:32].float() / 255
    for index in range(3):
        step.step(real, sample_latents(config.latent, 32, rng))
        networks.update_generator_ema(index)
    weight, inputs = first_layer(networks.generator).weight, config.latent.dim - 3
    with torch.no_grad():  # effects large enough to be measured
        weight[inputs:] *= 30
        first_layer(networks.export_generator).weight[inputs:] *= 1 if networks.generator_ema is None else 30
    states = {name: adam.state[weight] for name, adam in step.optimizers.items() if weight in adam.state}
    moments = {name: state["exp_avg"].clone() for name, state in states.items()}
    assert list(moments) == movers
    networks.eval()
    vector = sample_latents(config.latent, 16, rng).vector()
    before = networks.generator(vector), networks.export_generator(vector), networks.infer(real)
    old = weight.detach().clone()
    align_codes(networks, step.optimizers.values(), seed=1, free=[0, 1, 2])

    flat, new = old[inputs:].flatten(1), weight[inputs:].detach().flatten(1)
    rotation = torch.linalg.lstsq(flat.T, new.T).solution.T
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3), atol=1e-4, rtol=1e-4)
    assert (rotation - torch.eye(3)).abs().max() > 0.05, "something was rotated"
    codes = vector.clone()
    codes[:, inputs:] = vector[:, inputs:] @ rotation.T
    after = networks.generator(codes), networks.export_generator(codes), networks.infer(real)
    torch.testing.assert_close(after[:2], before[:2], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[2].mean, before[2].mean @ rotation.T, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[2].logits, before[2].logits)
    variances, old_variances = (posterior.log_var.detach() for posterior in (after[2], before[2]))
    order = (variances[:, :, None] - old_variances[:, None]).abs().amax(dim=0).argmin(dim=1).tolist()
    torch.testing.assert_close(variances, old_variances[:, order])
    assert order == rotation.abs().argmax(dim=1).tolist(), "variances follow the order"
    for name, state in states.items():
        expected = torch.tensordot(rotation, moments[name][inputs:], dims=1)
        torch.testing.assert_close(state["exp_avg"][inputs:], expected, atol=1e-5, rtol=1e-3)


def test_another_first_layer_is_refused(small: Callable[..., TrainConfig]) -> None:
    generator = build_networks(small(), size=28, channels=1).generator
    assert isinstance(first_layer(generator), VectorToMap)
    generator.layers[0] = nn.Flatten()
    with pytest.raises(UsageError, match="axis_alignments"):
        first_layer(generator)


@pytest.mark.parametrize(
    ("periodic", "free"), [("c1", [1, 2]), ("c2", [0, 2]), ("c3", [1, 3]), (None, [2, 3])]
)
def test_other_codes_stay_where_they_are(
    small: Callable[..., TrainConfig], periodic: str | None, free: list[int]
) -> None:
    """A periodic code, whose rows of G's and Q's weights are elsewhere, and one that is not to be rotated."""
    config = small({"latent": {"continuous": 4, "periodic": [periodic] if periodic else []}})
    networks = build_networks(config, size=28, channels=1)
    weight = first_layer(networks.generator).weight
    with torch.no_grad():
        weight[config.latent.noise + config.latent.num_logits :] *= 30
    networks.eval()
    latent = sample_latents(config.latent, 16, torch.Generator().manual_seed(0))
    images = torch.rand(16, 1, 28, 28)
    before, means = networks.generator(latent.vector()), networks.infer(images).mean
    align_codes(networks, [], seed=1, free=free)
    now = networks.infer(images).mean
    assert means is not None
    assert now is not None
    rotation = torch.linalg.lstsq(means[:, free], now[:, free]).solution.T
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(2), atol=1e-4, rtol=1e-4)
    assert (rotation - torch.eye(2)).abs().max() > 1e-3, "something was rotated"
    others = [code for code in range(4) if code not in free]
    torch.testing.assert_close(now[:, others], means[:, others])
    turned = latent.styles.clone()
    turned[:, free] = latent.styles[:, free] @ rotation.T
    after = networks.generator(replace(latent, styles=turned).vector())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
