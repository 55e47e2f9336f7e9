"""The loss of a code that stands for the angle of an object, and what is learned with it."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.export.evaluation.metrics.attributes import measure_attributes
from infogan_tool.train.config.presets import preset
from infogan_tool.train.data import load_images
from infogan_tool.train.engine.statistics import frozen_statistics
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.terms import TermInputs, transformations
from infogan_tool.train.infogan.transformations import angular_moments, turn_loss, turned

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_loss_of_an_angle_goes_the_short_way_round() -> None:
    rng = torch.Generator().manual_seed(0)
    middle, angles = (2 * torch.rand(2, 4096, generator=rng) - 1).unbind()
    anywhere = torch.zeros(4096, 4, 2)  # moments that do not say where a round begins
    categories = torch.arange(4096) % 3
    members = F.one_hot(categories, 3).float()
    # Squares go round four times in a turn, ellipses twice, and what has no symmetry once.
    after = (middle + torch.tensor([4, 2, 1])[categories] * angles + 1) % 2 - 1
    given = {"angles": angles, "members": members, "moments": anywhere}
    assert turn_loss(middle, middle, after, **given) == pytest.approx(0, abs=1e-3)
    assert turn_loss(-middle.sign() + middle, middle, after, **given) == pytest.approx(2, abs=1e-3)
    together = turn_loss(middle, middle, after, angles=angles, members=torch.ones(4096, 1), moments=anywhere)
    one_for_all = 2 / 3 - 0.1 * math.log(3)  # each of three numbers suits a third
    assert together == pytest.approx(one_for_all, abs=0.05)
    third = (middle + 3 * angles + 1) % 2 - 1
    assert turn_loss(middle, middle, third, **given) == pytest.approx(0.3, abs=0.01), "its cost"
    backwards = (middle - angles + 1) % 2 - 1
    assert turn_loss(middle, middle, backwards, **given) > 0.8
    unrelated = middle[torch.randperm(4096, generator=rng)]
    nothing = turn_loss(unrelated, middle, unrelated, **given)
    assert nothing == pytest.approx(2 - 0.1 * math.log(4), abs=0.1), "of the softmin over four numbers"
    middle.requires_grad_()
    carried = turn_loss(middle.detach() + 0.1, middle, middle.detach() + angles, **given)
    (gradient,) = torch.autograd.grad(carried, middle)
    assert gradient.abs().max() < 1e-6, "the middle does not follow the images"


def bars(angles: Tensor) -> Tensor:
    """Return images ``(N, 1, 65, 65)`` of a bar, turned clockwise from across by ``angles`` in half turns."""
    bar = torch.zeros(1, 1, 65, 65)
    bar[:, :, 30:34, 20:51] = 1
    return turned(bar.expand(len(angles), -1, -1, -1), angles, torch.full((len(angles),), 0.5))


def test_moments_give_the_direction_of_an_object() -> None:
    angles = torch.tensor([0.0, 0.1, 0.25, 0.4])
    moments = angular_moments(bars(angles))
    two = torch.atan2(moments[:, 1, 1], moments[:, 1, 0]) / (2 * math.pi)
    assert two.tolist() == pytest.approx(angles.tolist(), abs=0.01)
    assert moments[:, 1].norm(dim=1).min() > 0.9, "a thin bar"
    assert moments[:, [0, 2]].abs().max() < 0.1, "half a turn changes nothing"
    assert angular_moments(1 - bars(angles)).sub(moments).abs().max() < 1e-4, "dark on bright"
    square = torch.zeros(1, 1, 65, 65)
    square[:, :, 20:45, 20:45] = 1
    four = angular_moments(square)[0]
    assert four[:3].abs().max() < 0.01
    assert (four[3, 0], four[3, 1]) == (pytest.approx(-0.43, abs=0.1), pytest.approx(0, abs=0.01)), "corners"
    assert not angular_moments(torch.ones(1, 1, 9, 9)).any()


def test_a_round_begins_where_the_moments_say() -> None:
    """The same place for all objects with a longer axis."""
    start, angle = torch.full((64,), 0.25), torch.linspace(-1, 1, 65)[:64]
    moments = angular_moments(bars(start))
    losses = {
        zero: float(
            turn_loss(
                middle := 2 * start + zero,
                middle,
                middle + 2 * angle,
                angles=angle,
                members=torch.ones(64, 1),
                moments=moments,
            )
        )
        for zero in (0.0, 0.5, 1.0)
    }
    assert losses[0.0] == pytest.approx(-0.95, abs=0.05)
    assert losses[0.5] == pytest.approx(0, abs=0.05)
    assert losses[1.0] == pytest.approx(0.95, abs=0.1)


def test_an_object_is_turned_in_the_middle() -> None:
    bar = torch.zeros(1, 1, 65, 65)
    bar[:, :, 5:26, 8:11] = 1
    upright, right = (turned(bar, torch.tensor([a]), torch.tensor([0.5])) for a in (0.0, 0.125))
    rows, columns = torch.nonzero(upright[0, 0] > 0.5, as_tuple=True)
    assert (rows.float().mean(), columns.float().mean()) == (pytest.approx(32, abs=0.6),) * 2
    slants = [
        measure_attributes((255 * image.permute(0, 2, 3, 1)).round().byte().numpy())["slant"][0]
        for image in (upright, right)
    ]
    assert slants == [pytest.approx(0, abs=1), pytest.approx(22.5, abs=1)]


def sprites(shape: int, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return sprites of a shape, anywhere, and their angles, anticlockwise in radians."""
    data = load_images("dsprites", size=32)
    assert data.factors is not None
    index = (shape * len(data) + torch.randint(len(data), (count,), generator=rng)) // 3
    return data.images[index] / 127.5 - 1, data.factors.values[index, 2] * (2 * math.pi / 39)


def triangles(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return triangles likewise; at an angle of 0 a corner points to the left."""
    across, down, size, turn = torch.rand(4, count, 1, 1, generator=rng)
    pixels, angles = torch.arange(32.0), 2 * math.pi * turn
    across, down = pixels - (10 + 12 * across), pixels[:, None] - (10 + 12 * down)
    sides = [angles + side * 2 * math.pi / 3 for side in range(3)]
    reach = torch.stack([across * torch.cos(side) - down * torch.sin(side) for side in sides]).amax(dim=0)
    return 2 * (3 + 2 * size - reach).clamp(0, 1)[:, None] - 1, angles.flatten()


@pytest.mark.parametrize("noise", [0.0, 0.04], ids=["clean", "noisy"])
def test_the_middle_does_not_tell_how_far_an_object_was_turned(noise: float) -> None:
    rng = torch.Generator().manual_seed(0)
    images, _ = triangles(64, rng)
    angle, size = torch.rand(2, 64, generator=rng)
    images = images + noise * torch.randn(images.shape, generator=rng)
    shown = turned(images, 2 * angle - 1, size)[:, 0]
    background = shown[:, :1, :1]
    weights = shown - background
    pixels, mass = torch.arange(32.0) - 15.5, weights.sum(dim=(1, 2))
    for axis in (1, 2):
        centres = (weights.sum(dim=axis) @ pixels) / mass
        assert centres.abs().mean() < 0.1
    assert (weights.abs() < 1e-5).float().mean() > 0.5, "the background is even"


@pytest.mark.parametrize(
    ("draw", "rounds", "start"),
    [
        (partial(sprites, 0), 4, -1),  # a square's corner lies to the right; at an angle of 0 its side does
        (triangles, 3, -1),  # a corner lies to the right
        pytest.param(
            partial(sprites, 1), 2, 1, marks=pytest.mark.slow
        ),  # an ellipse's longer axis lies across
    ],
    ids=["squares", "triangles", "ellipses"],
)
def test_q_learns_the_angle_of_objects_anywhere(
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]], rounds: int, start: float
) -> None:
    """From what a turn does to them alone; true angles are only compared with the result."""
    config = preset(
        "dsprites",
        latent={"periodic": ["c1"], "continuous": 1, "categorical": []},
        objective={"transformations": ["turn"]},
        networks={"base_width": 16, "full_width": 128, "conditional": False},
        clustering=None,
        q_noise=0.0,
        precision="fp32",
    )
    networks, rng = build_networks(config, size=32, channels=1), torch.Generator().manual_seed(0)
    adam = torch.optim.Adam([*networks.trunk.parameters(), *networks.q.parameters()], 1e-3, (0.5, 0.999))
    drawn, angles = draw(3000, rng)
    with frozen_statistics(networks):
        for step in range(300):
            for group in adam.param_groups:  # it falls: at a high rate the code may be lost again for a while
                group["lr"] = 1e-3 * min(1.0, 2 * (1 - step / 300))
            images = drawn[torch.randint(len(drawn), (64,), generator=rng)]
            latent = sample_latents(config.latent, 64, rng)
            given = TermInputs(
                images, images, latent, networks=networks, config=config, rng=rng, progress=torch.ones(())
            )
            adam.zero_grad()
            transformations(given).backward()
            adam.step()
        drawn, angles = drawn[:512], angles[:512]
        with torch.no_grad():
            codes = torch.cat([networks.infer_styles(images)[:, 0] for images in drawn.split(64)])
    # The code goes round, clockwise, each time that an object looks the same; the angle is anticlockwise.
    followed = {n: float(torch.exp(1j * (math.pi * codes + n * angles)).mean().abs()) for n in range(-6, 7)}
    assert followed.pop(rounds) > 0.7
    assert max(followed.values()) < 0.3
    beginning = torch.exp(1j * (math.pi * codes + rounds * angles)).mean()
    assert float((beginning / beginning.abs()).real) == pytest.approx(start, abs=0.1)
