"""Random augmentation of images, with gradients through it.

It has two uses. In adversarial training real and generated images are augmented in the same way, so that G
does not learn the augmentation (differentiable augmentation, arXiv:2006.10738). In clustering
(:mod:`infogan_tool.train.clustering`) it defines the differences between images to which features and
categories are made invariant. Each use has its own table in the config.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

from infogan_tool.train.infogan.interpolation import grid_sample

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import ViewConfig

_ROTATION: Final = math.radians(23)
_SCALE: Final = 0.25
_SHEAR: Final = 0.4
_ASPECT: Final = 0.20
_SHIFT: Final = 0.15
"""Greatest change of each kind at affine strength 1; shift in fractions of the image."""
_KNOTS: Final = 5
_ELASTIC: Final = 0.1
"""Standard deviation of each of 5 x 5 knots' displacement at elastic strength 1; the image spans 2."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The sampled parameters of the augmentation of N images."""

    count: int
    """N."""
    affine: Tensor | None
    """``(6, N)``: rotation, shear, scale, aspect, shift in x and y, from -1 to 1 times the strength."""
    knots: Tensor | None
    """``(N, 2, knots)``: displacements."""
    strokes: tuple[Tensor, ...]
    """Indices of the images whose strokes are dilated, eroded, blurred and unchanged; empty: all are."""
    amount: Tensor | None
    """``(N, 1, 1, 1)``: how far strokes change, 0 to 1."""

    def select(self, *parts: slice) -> Augmentation:
        """Return the parameters of some of the images, those of ``parts`` one after the other."""
        count = sum(part.stop - part.start for part in parts)
        if count == self.count:
            return self

        def cut(values: Tensor, dim: int) -> Tensor:
            return torch.cat([values.narrow(dim, part.start, part.stop - part.start) for part in parts], dim)

        strokes = self.strokes
        if strokes:
            chosen = cut(torch.arange(self.count, device=strokes[0].device), 0)
            position = torch.full((self.count,), -1, device=chosen.device)
            position[chosen] = torch.arange(len(chosen), device=chosen.device)
            strokes = tuple(new[new >= 0] for new in (position[kind] for kind in strokes))
        return Augmentation(
            count=count,
            affine=None if self.affine is None else cut(self.affine, 1),
            knots=None if self.knots is None else cut(self.knots, 0),
            strokes=strokes,
            amount=None if self.amount is None else cut(self.amount, 0),
        )

    def apply(self, images: Tensor) -> Tensor:
        """Augment images ``(N, C, H, W)``, each with its own parameters."""
        if self.affine is not None:
            grid = _affine_grid(images, self.affine)
            if self.knots is not None:
                grid = grid + _elastic(images, self.knots)
            images = grid_sample(images, grid)
        if self.amount is not None:
            images = _change_stroke(images, self.strokes, self.amount)
        return images


def sample_augmentation(count: int, view: ViewConfig, rng: torch.Generator) -> Augmentation:
    """Sample the parameters of the augmentation of ``count`` images.

    Args:
        count: N.
        view: Strength of each kind of change; all 0 leaves the images unchanged.
        rng: Source of randomness, on the images' device.
    """
    device, affine, knots, amount = rng.device, None, None, None
    strokes: tuple[Tensor, ...] = ()
    if view.affine or view.elastic:
        affine = (torch.rand(6, count, generator=rng, device=device) * 2 - 1) * view.affine
    if view.elastic:
        unit = torch.randn(count, 2, _KNOTS**2, generator=rng, device=device)
        knots = unit * (_ELASTIC * view.elastic)
    if view.stroke:
        strokes = torch.randperm(count, generator=rng, device=device).tensor_split(4)
        amount = torch.rand(count, 1, 1, 1, generator=rng, device=device) * view.stroke
    return Augmentation(count, affine, knots, strokes, amount)


def random_view(images: Tensor, view: ViewConfig, rng: torch.Generator) -> Tensor:
    """Augment each image in its own random way.

    Args:
        images: ``(N, C, H, W)``, any range; outside of an image its border is repeated.
        view: Strength of each kind of change; all 0 returns the images unchanged.
        rng: Source of randomness, on the images' device.

    Returns:
        Images of the same shape.
    """
    return sample_augmentation(len(images), view, rng).apply(images)


def add_noise(images: Tensor, max_std: float, rng: torch.Generator, *, count: int, shard: slice) -> Tensor:
    """Add Gaussian noise, with a random standard deviation for each image.

    Args:
        images: ``(n, C, H, W)``, the ``shard`` of a batch.
        max_std: Standard deviations are uniform from 0 to this; 0 returns the images unchanged.
        rng: Source of randomness, on the images' device; numbers are drawn for the whole batch.
        count: Images of the whole batch.
        shard: Position of ``images`` in it.

    Returns:
        Images of the same shape. They may leave their range by a little: clipping would stop gradients.
    """
    if not max_std:
        return images
    amounts = torch.rand(count, 1, 1, 1, generator=rng, device=rng.device) * max_std
    noise = torch.randn(count, *images.shape[1:], generator=rng, device=rng.device)
    return images + (amounts * noise)[shard]


def _affine_grid(images: Tensor, params: Tensor) -> Tensor:
    angle, shear = params[0] * _ROTATION, params[1] * _SHEAR
    scale, aspect = torch.exp(params[2] * math.log1p(_SCALE)), torch.exp(params[3] * math.log1p(_ASPECT) / 2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Source of each output pixel: rotation x shear x scale, then shift; coordinates span [-1, 1].
    row_x = torch.stack(
        [cos * scale * aspect, (cos * shear - sin) * scale / aspect, params[4] * 2 * _SHIFT], 1
    )
    row_y = torch.stack(
        [sin * scale * aspect, (sin * shear + cos) * scale / aspect, params[5] * 2 * _SHIFT], 1
    )
    theta = torch.stack([row_x, row_y], 1).to(images.dtype)
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _elastic(images: Tensor, knots: Tensor) -> Tensor:
    """Return a smooth displacement ``(N, H, W, 2)`` through displaced knots."""
    count, height, width = images.shape[0], images.shape[2], images.shape[3]
    basis = _knot_basis(height, width, images.device)
    return (knots @ basis).reshape(count, 2, height, width).permute(0, 2, 3, 1)


@lru_cache(maxsize=8)
def _knot_basis(height: int, width: int, device: torch.device) -> Tensor:
    """Return each knot's interpolation weights ``(knots, height * width)``.

    Cached, because a copy from the host cannot be part of a CUDA graph.
    """
    impulses = torch.eye(_KNOTS**2).reshape(-1, 1, _KNOTS, _KNOTS)
    basis = F.interpolate(impulses, size=(height, width), mode="bicubic", align_corners=True).flatten(1)
    return basis.to(device)


def _change_stroke(images: Tensor, kinds: tuple[Tensor, ...], amount: Tensor) -> Tensor:
    """Blend images of the four kinds with their 3 x 3 maximum, minimum, mean, and nothing."""
    dilated, eroded, blurred, unchanged = kinds
    parts = [
        (dilated, F.max_pool2d(images[dilated], 3, 1, 1)),
        (eroded, -F.max_pool2d(-images[eroded], 3, 1, 1)),
        (blurred, F.avg_pool2d(images[blurred], 3, 1, 1, count_include_pad=False)),
        (unchanged, images[unchanged]),
    ]
    index = torch.cat([part for part, _ in parts])
    changed = torch.cat([torch.lerp(images[part], new, amount[part].to(new.dtype)) for part, new in parts])
    return changed[torch.argsort(index)]
