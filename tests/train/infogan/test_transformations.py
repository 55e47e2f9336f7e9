"""Transformations of images, and codes that learn to stand for them."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import pytest
import torch
from adversarial_steps import make_step
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.export.evaluation.metrics.attributes import measure_attributes
from infogan_tool.runtime.errors import ConfigError, UsageError
from infogan_tool.train.config.objective import Transformation
from infogan_tool.train.config.presets import preset
from infogan_tool.train.data import load_images
from infogan_tool.train.engine.statistics import frozen_statistics
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.terms import TermInputs, active_terms, transformations
from infogan_tool.train.infogan.transformations import (
    GREATEST,
    TURN,
    explained_by_category,
    transform,
    transformation_loss,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig

SHARED = {"information_update": "shared"}
ATTRIBUTES = {
    "shift_x": ("centre_x",),
    "shift_y": ("centre_y",),
    "scale": ("width", "height"),
    "slant": ("slant",),
    "aspect": ("aspect",),
    "stroke_width": ("stroke_width",),
}


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """Return 32 upright digits ``(32, 1, 56, 56)`` with room to every side."""
    images = load_images("mnist").images[:32].float() / 255
    return F.pad(images.reshape(32, 1, 28, 28), [14] * 4)


def test_the_config_names_every_transformation() -> None:
    assert set(get_args(Transformation)) == {*GREATEST, TURN}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_transformation_moves_its_attribute_up(name: str, dark: bool, digits: Tensor) -> None:
    def measured(amount: float) -> dict[str, np.ndarray]:
        shown = transform(1 - digits if dark else digits, [name], torch.full((1, 32), amount))
        shown = 1 - shown if dark else shown
        return measure_attributes((255 * shown.permute(0, 2, 3, 1)).round().byte().numpy())

    low, middle, high = (measured(amount) for amount in (-1.0, 0.0, 1.0))
    for attribute in ATTRIBUTES[name]:
        assert np.mean(low[attribute] < middle[attribute]) > 0.9
        assert np.mean(middle[attribute] < high[attribute]) > 0.9


def test_amounts_have_the_documented_units(digits: Tensor) -> None:
    def attribute(name: str, transformed: Tensor) -> np.ndarray:
        return measure_attributes((255 * transformed.permute(0, 2, 3, 1)).round().byte().numpy())[name]

    ones = torch.ones(1, 32)
    before, after = (attribute("width", transform(digits, ["scale"], share * ones)) for share in (0, 1))
    assert np.median(after / before) == pytest.approx(1.4, abs=0.05)
    before, after = (attribute("aspect", transform(digits, ["aspect"], share * ones)) for share in (0, 1))
    assert np.median(after / before) == pytest.approx(1.4, abs=0.1)
    # A bar that points up, turned clockwise by 30 degrees, leans to the right by as much.
    bar = torch.zeros(1, 1, 65, 65)
    bar[:, :, 12:53, 31:34] = 1
    turned = transform(bar, ["rotation"], torch.ones(1, 1))
    assert attribute("slant", turned)[0] == pytest.approx(math.degrees(GREATEST["rotation"]), abs=1)
    moved = transform(bar, ["shift_x", "shift_y"], torch.tensor([[0.5], [0.25]]))
    rows, columns = torch.nonzero(moved[0, 0] > 0.5, as_tuple=True)
    assert columns.float().mean() == pytest.approx(32 + 65 / 8, abs=0.2)
    assert rows.float().mean() == pytest.approx(32 - 65 / 16, abs=0.2)


def test_strokes_change_in_each_channel_alike() -> None:
    bar = torch.full((1, 3, 24, 24), 0.5)
    bar[:, :, 4:20, 10:14] = torch.tensor([0.9, 0.2, 0.2])[:, None, None]  # red on grey
    for amount, width in ((1.0, 6), (-1.0, 2)):
        changed = transform(bar, ["stroke_width"], torch.full((1, 1), amount))
        assert ((changed[0, :, 12] - 0.5).abs() > 0.1).sum(dim=1).tolist() == [width] * 3


def test_no_amount_changes_nothing(digits: Tensor) -> None:
    names = list(GREATEST)
    torch.testing.assert_close(transform(digits, names, torch.zeros(len(names), 32)), digits)


def test_what_comes_from_outside_is_background() -> None:
    images = torch.full((1, 1, 16, 16), 0.75)
    images[:, :, 2:14, 1:12] = 0.0
    moved = transform(images, ["shift_x"], -torch.ones(1, 1))
    assert (moved[:, :, :, -4:] == 0.75).all()


def test_the_loss_is_zero_for_codes_that_follow_their_parameter_alone() -> None:
    rng = torch.Generator().manual_seed(0)
    amounts = torch.randn(4096, 2, generator=rng)
    free = torch.randn(4096, 1, generator=rng)
    follow = torch.cat([amounts * torch.tensor([0.1, 5.0]), free], 1)
    assert transformation_loss(follow, amounts) == pytest.approx(0, abs=5e-3)
    swapped = follow[:, [1, 0, 2]]
    assert transformation_loss(swapped, amounts) == pytest.approx(2, abs=0.1)
    opposite = transformation_loss(-follow, amounts)
    assert opposite == pytest.approx(4, abs=0.1), "the sign is part of what a code stands for"
    constant = transformation_loss(torch.zeros(4096, 3), amounts)
    assert constant == pytest.approx(2)
    leaking = torch.cat([follow[:, :2], amounts[:, :1]], 1)
    assert transformation_loss(leaking, amounts) == pytest.approx(1, abs=0.1), "a free code follows none"
    turn = torch.tensor([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    mixed = follow / torch.tensor([0.1, 5.0, 1.0]) @ turn
    assert transformation_loss(mixed, amounts) == pytest.approx(2 - math.sqrt(2), abs=0.1)


def test_constant_codes_have_finite_gradients() -> None:
    changes = torch.zeros(16, 2, requires_grad=True)
    members = F.one_hot(torch.arange(16) % 2, 2).float()
    (transformation_loss(changes, torch.randn(16, 1)) + explained_by_category(changes, members)).backward()
    assert changes.grad is not None
    assert changes.grad.isfinite().all()


def test_the_share_of_a_code_that_its_category_explains() -> None:
    categories = torch.arange(6000) % 3
    members = F.one_hot(categories, 3).float()
    noise = torch.randn(6000, 2, generator=torch.Generator().manual_seed(0))
    assert explained_by_category(noise, members) == pytest.approx(0, abs=2e-3)
    own = categories[:, None].float()
    assert explained_by_category(own, members) == pytest.approx(1, abs=1e-3)
    mixed = noise + own * torch.tensor([1.0, 0.0])
    variance = own.var(correction=0)
    assert explained_by_category(mixed, members) == pytest.approx(float(variance / (1 + variance)), abs=0.02)
    absent = torch.cat([members, torch.zeros(6000, 1)], 1)
    assert explained_by_category(own, absent) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("scheme", "reached"), [("shared", 1.0), ("separate_step", 1.6)])
def test_q_learns_what_its_codes_stand_for(
    scheme: str, reached: float, small: Callable[..., TrainConfig]
) -> None:
    config = small(
        {
            "latent": {"noise": 4, "categorical": [], "continuous": 3},
            "objective": {
                "information_update": scheme,
                "transformations": ["shift_x", "shift_y"],
                "transformations_weight": 3.0,
            },
            "optimizer": {"d_lr": 1e-3, "g_lr": 1e-3},
        }
    )
    losses = train_on_squares(config, steps=150)
    assert np.mean(losses[-30:]) < reached
    assert np.mean(losses[:10]) > 1.8


def term_on_sprites(
    read: Callable[[Tensor], Tensor],
    name: str = "scale",
    *,
    turn: bool = False,
    categories: Tensor | None = None,
    progress: float = 1.0,
) -> float:
    """Return the term for 256 sprites, real and generated ones alike, whose size or width ``read`` infers."""
    config = preset(
        "dsprites",
        latent={"periodic": ["c2"] if turn else []},
        objective={"transformations": [name, "turn"] if turn else [name]},
    )
    rng = torch.Generator().manual_seed(0)
    sprites = load_images("dsprites", size=32).images[torch.randperm(737_280, generator=rng)[:256]] / 255
    latent = sample_latents(config.latent, 256, rng)

    def infer_styles(images: Tensor, _: Tensor | None = None) -> Tensor:
        size = read(images)
        return torch.stack([size, torch.zeros_like(size)] if turn else [size], 1)

    inputs = TermInputs(
        real=sprites,
        fake=sprites,
        latent=latent if categories is None else replace(latent, categories=categories[:, None]),
        real_categories=categories,
        networks=cast("Any", SimpleNamespace(infer_styles=infer_styles)),
        config=config,
        rng=rng,
        progress=torch.tensor(progress),
    )
    return float(transformations(inputs))


def log_area(images: Tensor) -> Tensor:
    return images.sum(dim=(1, 2, 3)).log()


def test_features_that_d_s_update_has_computed_change_nothing() -> None:
    config = preset(
        "dsprites",
        precision="fp32",
        networks={"base_width": 4, "full_width": 16},
        clustering={"views": "none"},
    )
    networks, rng = build_networks(config, size=32, channels=1), torch.Generator().manual_seed(0)
    real, fake = torch.rand(2, 16, 1, 32, 32, generator=rng)
    latent, kinds = sample_latents(config.latent, 16, rng), torch.arange(16) % 3
    found = []
    for seed in (0, 1):  # generated, then real images
        for known in (False, True):
            networks.zero_grad()
            with frozen_statistics(networks):
                value = transformations(
                    TermInputs(
                        real,
                        fake,
                        latent,
                        kinds,
                        networks=networks,
                        config=config,
                        rng=torch.Generator().manual_seed(seed),
                        progress=torch.ones(()),
                        features=(networks.trunk(real), networks.trunk(fake)) if known else None,
                    )
                )
            value.backward()
            found.append([value.detach(), *(p.grad.clone() for p in networks.trunk.parameters())])
    for computed, known in zip(found[::2], found[1::2], strict=True):
        torch.testing.assert_close(known, computed, rtol=1e-4, atol=1e-6)
    assert found[0][0] != found[2][0]


def test_size_cannot_be_told_by_sharpness() -> None:
    def smoothness(images: Tensor) -> Tensor:
        slope = images.diff(dim=3)
        return -slope.diff(dim=3).square().sum(dim=(1, 2, 3)) / slope.square().sum(dim=(1, 2, 3))

    assert term_on_sprites(log_area) < 0.01
    assert term_on_sprites(smoothness) > 0.35, "0.27 without softening"


def test_width_cannot_be_told_by_sharpness() -> None:
    def log_width(images: Tensor) -> Tensor:
        place = torch.arange(32.0)
        shares = [images.sum(dim=(1, axis)) / images.sum(dim=(1, 2, 3))[:, None] for axis in (2, 3)]
        across, down = (share @ place**2 - (share @ place) ** 2 for share in shares)
        return (across / down).log()

    def smoothness(images: Tensor) -> Tensor:
        slopes = (images.diff(dim=axis).abs() for axis in (3, 2))
        across, down = (s.square().sum(dim=(1, 2, 3)) / s.sum(dim=(1, 2, 3)) for s in slopes)
        return (down / across).log()

    assert term_on_sprites(log_width, "aspect") < 0.06
    assert term_on_sprites(smoothness, "aspect") > 0.25, "0.05 without softening"


def test_a_code_that_differs_between_categories_costs_more_beside_a_turn() -> None:
    categories = torch.arange(256) % 3

    def offset(images: Tensor) -> Tensor:
        return log_area(images) + 5 * categories

    alone = term_on_sprites(log_area, turn=True)
    independent = term_on_sprites(log_area, turn=True, categories=categories)
    assert independent == pytest.approx(alone, abs=0.03)
    assert term_on_sprites(offset, turn=True) == pytest.approx(alone, abs=1e-3), "changes are the same"
    assert term_on_sprites(offset, turn=True, categories=categories) > independent + 0.9
    assert term_on_sprites(offset, categories=categories) == pytest.approx(
        term_on_sprites(log_area), abs=1e-3
    )


def test_an_angle_is_learned_once_g_makes_objects() -> None:
    early, half, late, end = (
        term_on_sprites(log_area, turn=True, progress=progress) for progress in (0.1, 0.125, 0.15, 1.0)
    )
    assert early < 0.01, "the size alone"
    assert (half - early) == pytest.approx((end - early) / 2, rel=1e-3)
    assert late == pytest.approx(end, rel=1e-3)
    assert end > early + 0.5, "a constant angle"


def train_on_squares(config: TrainConfig, steps: int) -> list[float]:
    """Return the term's losses of a training on squares in random places."""
    step, rng = make_step(config, size=16)
    (term,) = step.terms
    found = []
    for _ in range(steps):
        places = torch.randint(0, 12, (32, 2), generator=rng).tolist()
        images = torch.zeros(32, 1, 16, 16)
        for image, (x, y) in zip(images, places, strict=True):
            image[:, y : y + 4, x : x + 4] = 1
        latent = sample_latents(config.latent, 32, rng)
        scalars = step.step(images, latent)
        found.append(float(scalars[2]))
    assert term.metric == "Loss/Q/transformations"
    return found


def test_a_weight_of_zero_is_no_term(small: Callable[..., TrainConfig]) -> None:
    config = small({"objective": {"transformations": ["slant"], "transformations_weight": 0.0}})
    assert active_terms(config) == []
    assert config.fixed_codes == 0


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        ({"transformations": ["slant", "slant"]}, "has slant twice"),
        (
            {"transformations": ["slant", "scale", "aspect"], **SHARED},
            "more names than latent.continuous = 2",
        ),
        ({"transformations": ["slant"]}, "needs networks.q = 'shared' and no information_update = 'q_head'"),
        ({"transformations": ["hue"]}, "objective.transformations"),
    ],
)
def test_impossible_transformations_are_refused(
    objective: dict[str, object], says: str, small: Callable[..., TrainConfig]
) -> None:
    with pytest.raises(ConfigError, match=says):
        small({"objective": objective})


def test_the_weight_has_a_key_of_its_own(small: Callable[..., TrainConfig]) -> None:
    config = small({"objective": {"terms": {"transformations": 1.0}}})
    with pytest.raises(UsageError, match="transformations_weight"):
        active_terms(config)
