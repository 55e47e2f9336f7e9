"""Augmentation: off, bounded, differentiable, independent for each image."""

from __future__ import annotations

import pytest
import torch

from infogan_tool.train.config.schema import ViewConfig
from infogan_tool.train.infogan.augment import add_noise, random_view

KINDS = {
    "affine": ViewConfig(affine=1, elastic=0, stroke=0),
    "elastic": ViewConfig(affine=0, elastic=1, stroke=0),
    "stroke": ViewConfig(affine=0, elastic=0, stroke=1),
    "all": ViewConfig(affine=1, elastic=1, stroke=1),
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
    assert changed.min() >= images.min()
    assert changed.max() <= images.max()
    same = [torch.equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert sum(same) == (2 if name == "stroke" else 0), "a quarter of strokes is unchanged"
    assert torch.equal(random_view(images, KINDS[name], rng()), changed), "the same seed, the same views"


@pytest.mark.parametrize("name", KINDS)
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
