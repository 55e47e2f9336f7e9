"""Synthetic outliers: images unlike the training images, made from the training images.

Halves and quarters of two images, mirrored and turned images, two images overlaid, an enlarged part, a half
and its reflection, an image with a part erased. They share strokes, brightness and layout with the training
images and differ in content, so that a classifier must look at the content. Transformations that shift the
distribution are those of Tack, Mo, Jeong and Shin (arXiv:2007.08176), used as the outliers of Hendrycks,
Mazeika and Dietterich (arXiv:1812.04606). Some look like real images, such as a mirrored 8. That costs
little: the classifier learns the probability that such an image is synthetic, and the threshold is set on
real images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def make_synthetic_outliers(images: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return ``(count, C, S, S)`` from images ``(N, C, S, S)``, 0 (background) to 1, not preprocessed."""
    order = torch.arange(count) % len(_KINDS)
    outliers = torch.empty(count, *images.shape[1:])
    for number, kind in enumerate(_KINDS):
        rows = torch.nonzero(order == number)[:, 0]
        one, other = (images[torch.randint(len(images), (len(rows),), generator=rng)] for _ in range(2))
        outliers[rows] = kind(one, other, rng)
    return outliers


def make_noise(count: int, shape: tuple[int, int, int], rng: torch.Generator) -> Tensor:
    """Return uniform noise ``(count, *shape)`` of grains from one pixel to a seventh of the image, 0 to 1.

    Unlike the other outliers it is not preprocessed, as no image without an object is.
    """
    channels, *sides = shape
    parts: list[Tensor] = []
    for part in torch.arange(count).tensor_split(4):
        grain = 2 ** len(parts)
        coarse = [max(2, side // grain) for side in sides]
        noise = torch.rand(len(part), channels, *coarse, generator=rng)
        parts.append(F.interpolate(noise, size=sides, mode="bilinear", align_corners=False))
    return torch.cat(parts)


def _halves(one: Tensor, other: Tensor, _: torch.Generator) -> Tensor:
    middle = one.shape[2] // 2
    return torch.cat([one[:, :, :middle], other[:, :, middle:]], dim=2)


def _sides(one: Tensor, other: Tensor, _: torch.Generator) -> Tensor:
    middle = one.shape[3] // 2
    return torch.cat([one[..., :middle], other[..., middle:]], dim=3)


def _mirrored(one: Tensor, _: Tensor, __: torch.Generator) -> Tensor:
    return one.flip(3)


def _turned(one: Tensor, _: Tensor, rng: torch.Generator) -> Tensor:
    return torch.where(_coin(one, rng), one.rot90(1, (2, 3)), one.rot90(3, (2, 3)))


def _upside_down(one: Tensor, _: Tensor, rng: torch.Generator) -> Tensor:
    return torch.where(_coin(one, rng), one.flip(2), one.transpose(2, 3))


def _overlaid(one: Tensor, other: Tensor, rng: torch.Generator) -> Tensor:
    reach = max(1, one.shape[3] // 4)
    down, across = (int(n) for n in torch.randint(-reach, reach + 1, (2,), generator=rng))
    return torch.maximum(one, other.roll((down, across), (2, 3)))


def _part(one: Tensor, _: Tensor, rng: torch.Generator) -> Tensor:
    count = len(one)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 0.4 + 0.25 * torch.rand(count, generator=rng)
    theta[:, :, 2] = 0.6 * torch.rand(count, 2, generator=rng) - 0.3
    return F.grid_sample(one, F.affine_grid(theta, list(one.shape), align_corners=False), align_corners=False)


def _reflected(one: Tensor, _: Tensor, rng: torch.Generator) -> Tensor:
    high, wide = one.shape[2] // 2, one.shape[3] // 2
    upper = torch.cat([one[:, :, :high], one[:, :, :high].flip(2)], dim=2)
    left = torch.cat([one[..., :wide], one[..., :wide].flip(3)], dim=3)
    if upper.shape != one.shape or left.shape != one.shape:
        return one.flip(2)
    return torch.where(_coin(one, rng), upper, left)


def _quarters(one: Tensor, other: Tensor, rng: torch.Generator) -> Tensor:
    high, wide = one.shape[2] // 2, one.shape[3] // 2
    made = one.clone()
    made[..., :high, :wide] = other[..., :high, :wide]
    made[..., high:, wide:] = other[..., high:, wide:]
    return torch.where(_coin(one, rng), made, made.flip(3))


def _erased(one: Tensor, _: Tensor, rng: torch.Generator) -> Tensor:
    size = one.shape[3]
    places = torch.arange(size)
    keep = torch.ones(len(one), 1, size, size, dtype=torch.bool)
    spans = []
    for _axis in range(2):
        first = torch.randint(size // 5, size * 3 // 5, (len(one), 1), generator=rng)
        length = torch.randint(size // 4, size // 2, (len(one), 1), generator=rng)
        spans.append((places >= first) & (places < first + length))
    keep[:, 0] = ~(spans[0][:, :, None] & spans[1][:, None, :])
    return one * keep


def _coin(images: Tensor, rng: torch.Generator) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, generator=rng) < 0.5  # noqa: PLR2004


_KINDS: tuple[Callable[[Tensor, Tensor, torch.Generator], Tensor], ...] = (
    _halves,
    _sides,
    _mirrored,
    _turned,
    _upside_down,
    _overlaid,
    _part,
    _reflected,
    _quarters,
    _erased,
)
