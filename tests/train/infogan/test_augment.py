"""Augmentation: off, bounded, differentiable, independent for each image."""

from __future__ import annotations

import colorsys

import pytest
import torch

from infogan_tool.train.config.tables import ViewConfig
from infogan_tool.train.infogan.augment import Augmentation, add_noise, random_view, sample_augmentation

KINDS = {
    "affine": ViewConfig(affine=1, elastic=0, stroke=0),
    "elastic": ViewConfig(affine=0, elastic=1, stroke=0),
    "stroke": ViewConfig(affine=0, elastic=0, stroke=1),
    "pose": ViewConfig(pose=1),
    "centred": ViewConfig(pose=1, centred=True),
    "blur": ViewConfig(blur=0.1),
    "crop": ViewConfig(crop=0.6, mirror=1),
    "colour": ViewConfig(colour=0.5),
    "hue": ViewConfig(hue=1),
    "all": ViewConfig(affine=1, elastic=1, stroke=1, pose=1, blur=0.1, crop=0.6, mirror=1, colour=0.5, hue=1),
}


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_strength_0_returns_the_images() -> None:
    images = torch.rand(4, 3, 16, 16)
    off = ViewConfig(affine=0, elastic=0, stroke=0)
    assert random_view(images, off, rng()) is images


@pytest.mark.parametrize("name", KINDS)
def test_changes_images_within_their_range(name: str) -> None:
    images = torch.rand(8, 3, 20, 20, generator=rng()) * 2 - 1
    changed = random_view(images, KINDS[name], rng())
    assert changed.shape == images.shape
    assert changed.min() >= images.min() - 1e-6
    assert changed.max() <= images.max() + 1e-6
    same = [torch.equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert sum(same) == (2 if name == "stroke" else 0), "a quarter of strokes is unchanged"
    assert torch.equal(random_view(images, KINDS[name], rng()), changed), "the same seed, the same views"


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"all", "pose", "centred"}))
def test_gradients_reach_every_image(name: str) -> None:
    images = torch.rand(8, 1, 12, 12, generator=rng()).requires_grad_()
    random_view(images, KINDS[name], rng()).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_noise_differs_between_images_and_not_between_batch_and_shard() -> None:
    images = torch.zeros(500, 1, 20, 20)
    assert add_noise(images, 0.0, rng(), count=500, shard=slice(0, 500)) is images
    noisy = add_noise(images, 0.2, rng(), count=500, shard=slice(0, 500))
    amounts = noisy.flatten(1).std(1)
    assert amounts.min() < 0.01
    assert amounts.max() == pytest.approx(0.2, abs=0.02)
    assert amounts.mean().item() == pytest.approx(0.1, abs=0.01)
    assert noisy.mean().abs() < 0.001
    part = slice(3, 11)
    assert torch.equal(add_noise(images[part], 0.2, rng(), count=500, shard=part), noisy[part])


def test_a_constant_image_is_unchanged() -> None:
    images = torch.full((6, 1, 16, 16), -1.0)
    torch.testing.assert_close(random_view(images, KINDS["all"], rng()), images)


def test_change_grows_with_strength() -> None:
    images = torch.rand(64, 1, 28, 28, generator=rng())
    images = torch.nn.functional.avg_pool2d(images, 5, 1, 2)
    change = [
        (random_view(images, ViewConfig(affine=s, elastic=0, stroke=0), rng()) - images).abs().mean()
        for s in (0.05, 0.2, 1)
    ]
    assert change[0] < change[1] < change[2]


def objects(count: int, *, size: int = 32, background: float = 0.0) -> torch.Tensor:
    """Return bars of 8 x 4 pixels at random places."""
    images = torch.full((count, 1, size, size), background)
    places = torch.randint(0, size - 8, (count, 2), generator=rng())
    for image, (top, left) in zip(images, places.tolist(), strict=True):
        image[0, top : top + 4, left : left + 8] = 1.0
    return images


@pytest.mark.parametrize("background", [0.0, 0.4])
def test_pose_turns_scales_and_moves_a_whole_object(background: float) -> None:
    images = objects(400, background=background)
    changed = random_view(images, ViewConfig(pose=1), rng())
    mass = (changed - background).sum(dim=(1, 2, 3)) / (1 - background) / 32
    largest = (16 / 4.31) ** 2  # the bar's circle has a radius of 4.31 pixels
    assert 0.02 < mass.min() / largest < 0.06, "a fifth of the largest, squared, and no object is cut off"
    assert 0.8 < mass.max() / largest < 1.05
    ink = changed > (1 + background) / 2
    rows, columns = ink.any(dim=3)[:, 0], ink.any(dim=2)[:, 0]
    assert (rows.sum(1) > columns.sum(1)).float().mean().item() == pytest.approx(0.5, abs=0.1), "any angle"
    for side in (rows[:, :5], rows[:, -5:], columns[:, :5], columns[:, -5:]):
        assert side.any(dim=1).float().mean() > 0.1, "every part of the image is reached"
    torch.testing.assert_close(changed[:, 0, 0, 0].median(), torch.tensor(background))


def test_pose_leaves_room_for_an_object_as_large_as_the_image() -> None:
    images = torch.zeros(50, 1, 20, 20)
    images[:, :, :, 8:12] = 1.0
    changed = random_view(images, ViewConfig(pose=1), rng())
    assert changed.sum(dim=(1, 2, 3)).min() > 3


def test_sizes_after_pose_do_not_tell_the_size_before() -> None:
    small = objects(600)
    large = torch.nn.functional.interpolate(small[:, :, 8:24, 8:24], scale_factor=2)
    large = large[(large.sum(dim=(1, 2, 3)) == 128)]  # those that were whole
    sizes = [
        random_view(part, ViewConfig(pose=1), rng()).sum(dim=(1, 2, 3)).sqrt()
        for part in (small[: len(large)], large)
    ]
    for share in (0.1, 0.5, 0.9):
        first, second = (size.quantile(share).item() for size in sizes)
        assert first == pytest.approx(second, rel=0.1)


def test_centred_pose_fills_the_image() -> None:
    changed = random_view(objects(100), ViewConfig(pose=1, centred=True), rng())
    weights = changed[:, 0] / changed.sum(dim=(1, 2, 3))[:, None, None]
    place = torch.arange(32) - 15.5
    for centre in (weights.sum(dim=1) @ place, weights.sum(dim=2) @ place):
        assert centre.abs().max() < 0.5, "in the middle, to half a pixel"
    assert changed.sum(dim=(1, 2, 3)).min() > 0.9 * 32 * (16 / 4.31) ** 2
    half = random_view(objects(100), ViewConfig(pose=0.5, centred=True), rng())
    assert half.sum(dim=(1, 2, 3)).mean().item() == pytest.approx(32 * 16 / 4.31, rel=0.1)


def test_blur_keeps_the_mass_and_differs_between_images() -> None:
    point = torch.zeros(200, 1, 33, 33)
    point[:, :, 16, 16] = 1.0
    blurred = random_view(point, ViewConfig(blur=0.1), rng())
    torch.testing.assert_close(blurred.sum(dim=(1, 2, 3)), torch.ones(200), atol=0.02, rtol=0)
    variance = (blurred[:, 0].sum(dim=1) @ (torch.arange(33) - 16.0) ** 2) / 33**2
    assert variance.min().sqrt() < 0.01
    assert variance.max().sqrt().item() == pytest.approx(0.1, abs=0.005)
    assert variance.sqrt().mean().item() == pytest.approx(0.05, abs=0.005)


def test_mirror_and_crop() -> None:
    ramp = torch.linspace(0, 1, 24).expand(300, 1, 24, 24).clone()
    mirrored = random_view(ramp, ViewConfig(mirror=1), rng())
    flipped = (mirrored[:, 0, 0, 0] > 0.5).float().mean().item()
    assert flipped == pytest.approx(0.5, abs=0.1)
    assert {tuple(row.tolist()) for row in (mirrored[:, 0, 0, [0, -1]] * 100).round()} == {(0, 100), (100, 0)}
    cropped = random_view(ramp, ViewConfig(crop=0.75), rng())
    span = cropped[:, 0, 0, -1] - cropped[:, 0, 0, 0]
    assert 0.45 < span.min() < 0.6, "half of the side"
    assert span.max() > 0.95
    assert cropped[:, 0, 0, 0].min() < 0.02
    assert cropped[:, 0, 0, -1].max() > 0.98


def test_colour_changes_saturation_of_colour_images_only() -> None:
    images = torch.rand(40, 3, 8, 8, generator=rng())
    changed = random_view(images, ViewConfig(colour=0.5), rng())
    grey = random_view(images[:, :1].expand(-1, 3, -1, -1).contiguous(), ViewConfig(colour=0.5), rng())
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    spread = changed.std(dim=1).mean(dim=(1, 2)) / images.std(dim=1).mean(dim=(1, 2))
    assert spread.min() < 0.8
    assert spread.max() > 1.0


def hues_of(images: torch.Tensor) -> torch.Tensor:
    """Return the hue of the first pixel of each image, in turns."""
    return torch.tensor([colorsys.rgb_to_hsv(*image[:, 0, 0].tolist())[0] for image in images])


def turns_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the shorter way round from one hue to another, from 0 to 0.5."""
    return ((first - second + 0.5) % 1 - 0.5).abs()


def test_hue_changes_nothing_else_and_every_colour_on_its_own() -> None:
    images = torch.rand(300, 3, 1, 1, generator=rng())
    pairs = torch.cat([images, images[:, [1, 2, 0]]], 3)  # the second pixel is a third of the circle on
    changed = random_view(pairs, ViewConfig(hue=1), rng())
    for channel in (0, -1):
        torch.testing.assert_close(
            changed.sort(dim=1).values[:, channel], pairs.sort(dim=1).values[:, channel]
        )
    moved = [
        turns_between(hues_of(part), hues_of(changed[..., at:]))
        for at, part in ((0, images), (1, pairs[..., 1:]))
    ]
    for moves in moved:
        assert moves.max() > 0.45
        assert moves.mean().item() == pytest.approx(0.2, abs=0.06), "a mean of two is nearer to 0"
    assert abs(torch.corrcoef(torch.stack(moved))[0, 1]) < 0.15
    slightly = random_view(images, ViewConfig(hue=0.1), rng())
    assert turns_between(hues_of(images), hues_of(slightly)).max() < 0.051
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(random_view(grey, ViewConfig(hue=1), rng()), grey)


@pytest.mark.parametrize("range_", [(0.0, 1.0), (-1.0, 1.0)])
def test_hues_that_do_not_move(range_: tuple[float, float]) -> None:
    low, high = range_
    images = low + (high - low) * torch.rand(8, 3, 9, 9, generator=rng())
    still = Augmentation(count=8, hues=torch.zeros(8, 12))
    torch.testing.assert_close(still.apply(images), images, rtol=0, atol=2e-6)


@pytest.mark.parametrize("view", [*KINDS.values(), ViewConfig()], ids=[*KINDS, "nothing"])
def test_shard_of_a_batch_is_augmented_as_in_the_whole(view: ViewConfig) -> None:
    images = torch.rand(12, 3, 16, 16, generator=rng())
    augmentation = sample_augmentation(12, view, rng())
    whole = augmentation.apply(images)
    assert augmentation.select(slice(0, 12)) is augmentation
    for parts in ([slice(2, 9)], [slice(11, 12)], [slice(1, 3), slice(7, 9)]):
        mine, expected = (torch.cat([tensor[part] for part in parts]) for tensor in (images, whole))
        torch.testing.assert_close(augmentation.select(*parts).apply(mine), expected, rtol=0, atol=1e-6)
