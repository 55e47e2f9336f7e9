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

    from infogan_tool.train.config.tables import ViewConfig

_ROTATION: Final = math.radians(23)
_SCALE: Final = 0.25
_SHEAR: Final = 0.4
_ASPECT: Final = 0.20
_SHIFT: Final = 0.15
"""Greatest change of each kind at affine strength 1; shift in fractions of the image."""
_POSE_SIZE: Final = 0.2
"""Least size at pose strength 1, in parts of the greatest that fits into the image."""
_FOREGROUND: Final = 0.25
"""Least difference of the foreground from the background, in parts of the image's greatest difference."""
_LEAST_SPREAD: Final = 1e-3
"""Between the channels of a pixel, below which its hue is not told."""
_LEAST_MASS: Final = 1e-3
"""Of an object, below which it has its centre in the middle of the image."""
_HUES: Final = 12
"""Hues whose moves are sampled; between them they are interpolated."""
_KNOTS: Final = 5
_ELASTIC: Final = 0.1
"""Standard deviation of each of 5 x 5 knots' displacement at elastic strength 1; the image spans 2."""


@dataclass(kw_only=True, slots=True)
class Augmentation:
    """The sampled parameters of the augmentation of N images; None: no change of that kind."""

    count: int
    """N."""
    affine: Tensor | None = None
    """``(N, 6)``: rotation, shear, scale, aspect, shift in x and y, from -1 to 1 times the strength."""
    knots: Tensor | None = None
    """``(N, 2, knots)``: displacements."""
    pose: Tensor | None = None
    """``(N, 5)``: rotation in radians, log of the new size, how far the own size moves to it from 0 to 1, and
    position in x and y from -1 to 1."""
    crop: Tensor | None = None
    """``(N, 4)``: side of the crop (1: everything), its position in x and y from -1 to 1, and -1 where the
    image is mirrored, else 1."""
    blur: Tensor | None = None
    """``(N,)``: standard deviation of a Gaussian blur, in parts of the image's width."""
    colour: Tensor | None = None
    """``(N, 3, 1, 1, 1)``: factors of brightness, contrast and saturation."""
    hues: Tensor | None = None
    """``(N, hues)``: how far hues, evenly spaced round the colour circle, move along it; in turns."""
    strokes: tuple[Tensor, ...] = ()
    """Indices of the images whose strokes are dilated, eroded, blurred and unchanged; empty: all are."""
    amount: Tensor | None = None
    """``(N, 1, 1, 1)``: how far strokes change, 0 to 1."""

    def select(self, *parts: slice) -> Augmentation:
        """Return the parameters of some of the images, those of ``parts`` one after the other."""
        chosen = torch.cat([torch.arange(part.start, part.stop) for part in parts])
        if len(chosen) == self.count:
            return self
        part = Augmentation(count=len(chosen))
        for name in ("affine", "knots", "pose", "crop", "blur", "colour", "hues", "amount"):
            if (values := getattr(self, name)) is not None:
                setattr(part, name, values[chosen.to(values.device)])
        if self.strokes:
            chosen = chosen.to(self.strokes[0].device)
            position = torch.full((self.count,), -1, device=chosen.device)
            position[chosen] = torch.arange(len(chosen), device=chosen.device)
            part.strokes = tuple(new[new >= 0] for new in (position[kind] for kind in self.strokes))
        return part

    def apply(self, images: Tensor) -> Tensor:
        """Augment images ``(N, C, H, W)``, each with its own parameters."""
        if self.pose is not None:
            images = change_pose(images, self.pose)
        if self.blur is not None:
            images = gaussian_blur(images, self.blur)
        if self.crop is not None:
            images = grid_sample(images, _crop_grid(images, self.crop))
        if self.colour is not None:
            images = _change_colour(images, self.colour)
        if self.hues is not None:
            images = _change_hues(images, self.hues)
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
    sampled, device = Augmentation(count=count), rng.device
    if view.pose:
        unit = torch.rand(4, count, generator=rng, device=device)
        angle, *position = (unit[row] * 2 - 1 for row in (0, 2, 3))
        size, share = unit[1] * math.log(_POSE_SIZE), torch.full_like(angle, view.pose)
        if view.centred:
            size, position = torch.zeros_like(angle), [torch.zeros_like(angle)] * 2
        sampled.pose = torch.stack([angle * math.pi * view.pose, size, share, *position], 1)
    if view.blur:
        sampled.blur = torch.rand(count, generator=rng, device=device) * view.blur
    if view.crop or view.mirror:
        unit = torch.rand(4, count, generator=rng, device=device)
        side, mirrored = (1 - unit[0] * view.crop).sqrt(), unit[3] < view.mirror / 2
        sampled.crop = torch.stack(
            [side, unit[1] * 2 - 1, unit[2] * 2 - 1, 1 - 2 * mirrored.to(unit.dtype)], 1
        )
    if view.colour:
        unit = torch.rand(3, count, 1, 1, 1, generator=rng, device=device).transpose(0, 1)
        sampled.colour = 1 + (unit * 2 - 1) * view.colour
    if view.hue:
        sampled.hues = (torch.rand(count, _HUES, generator=rng, device=device) - 0.5) * view.hue
    if view.affine or view.elastic:
        unit = torch.rand(6, count, generator=rng, device=device).T
        sampled.affine = (unit * 2 - 1) * view.affine
    if view.elastic:
        unit = torch.randn(count, 2, _KNOTS**2, generator=rng, device=device)
        sampled.knots = unit * (_ELASTIC * view.elastic)
    if view.stroke:
        sampled.strokes = torch.randperm(count, generator=rng, device=device).tensor_split(4)
        sampled.amount = torch.rand(count, 1, 1, 1, generator=rng, device=device) * view.stroke
    return sampled


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
    rotation, shear, scale, aspect, shift_x, shift_y = params.unbind(1)
    angle, shear = rotation * _ROTATION, shear * _SHEAR
    scale, aspect = torch.exp(scale * math.log1p(_SCALE)), torch.exp(aspect * math.log1p(_ASPECT) / 2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Source of each output pixel: rotation x shear x scale, then shift; coordinates span [-1, 1].
    row_x = torch.stack([cos * scale * aspect, (cos * shear - sin) * scale / aspect, shift_x * 2 * _SHIFT], 1)
    row_y = torch.stack([sin * scale * aspect, (sin * shear + cos) * scale / aspect, shift_y * 2 * _SHIFT], 1)
    return _grid(images, row_x, row_y)


def _grid(images: Tensor, row_x: Tensor, row_y: Tensor) -> Tensor:
    """Return the grid ``(N, H, W, 2)`` of affine maps, given their rows ``(N, 3)``."""
    theta = torch.stack([row_x, row_y], 1).to(images.dtype)
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def change_pose(images: Tensor, pose: Tensor, *, by_mass: bool = False) -> Tensor:
    """Rotate, scale and move the object of each image; what was outside of the image becomes background.

    The new size does not depend on the own one: a relative change would leave it recognisable. The object,
    turned by any angle, fits into the image; the position is uniform over those where it does. It is that of
    the centre of :func:`foreground_circle`, in which ``by_mass`` is explained.
    """
    background, centre_x, centre_y, radius = foreground_circle(images, by_mass=by_mass)
    angle, size, share, *position = pose.unbind(1)
    scale = torch.minimum((share * (size - radius.log())).exp(), 1 / radius)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    room = (1 - radius * scale).clamp_min(0)
    new_x, new_y = (part * room for part in position)
    row_x = torch.stack([cos, -sin, centre_x - cos * new_x + sin * new_y], 1)
    row_y = torch.stack([sin, cos, centre_y - sin * new_x - cos * new_y], 1)
    return warp(images, torch.stack([row_x, row_y], 1), background)


def warp(images: Tensor, theta: Tensor, background: Tensor) -> Tensor:
    """Warp images; what comes from outside of them is background.

    Args:
        images: ``(N, C, H, W)``.
        theta: ``(N, 2, 3)``: x and y of the source of an output pixel ``(x, y, 1)``; the image spans [-1, 1].
        background: ``(N, C, 1, 1)``.

    Returns:
        Images of the same shape.
    """
    grid = F.affine_grid(theta.to(images.dtype), list(images.shape), align_corners=False)
    outside = (grid.abs() > 1).any(dim=3)[:, None]
    return torch.where(outside, background, grid_sample(images, grid))


def foreground(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the background ``(N, C, 1, 1)``, and which pixels ``(N, H, W)`` are the object's.

    The background is the median of the image's border; the object is what differs from it.

    Args:
        images: ``(N, C, H, W)``.
    """
    inner = images[:, :, 1:-1]
    border = torch.cat([images[:, :, 0], images[:, :, -1], inner[..., 0], inner[..., -1]], 2)
    background = border.median(dim=2).values[:, :, None, None]
    difference = (images - background).abs().amax(dim=1)
    return background, difference > difference.amax(dim=(1, 2), keepdim=True).clamp_min(1e-3) * _FOREGROUND


def foreground_circle(images: Tensor, *, by_mass: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the background ``(N, C, 1, 1)``, and centre in x and y and radius ``(N,)`` of the object.

    Coordinates span [-1, 1].

    Args:
        images: ``(N, C, H, W)``.
        by_mass: Whether the centre is the object's centre of mass, which turns with it. That of its bounding
            box, otherwise, lies elsewhere in an object that has been turned, unless half a turn leaves the
            object as it is.
    """
    height, width = images.shape[2:]
    background, inside = foreground(images)
    x, y = (pixel_centres(size, images.device) for size in (width, height))
    if by_mass:
        # Without that of a noisy background, which would draw the centre to the middle of the image.
        mass = (images - background).abs().mean(dim=1) * inside
        total = mass.sum(dim=(1, 2)).clamp_min(_LEAST_MASS)
        centre_x, centre_y = (mass.sum(dim=1) @ x) / total, (mass.sum(dim=2) @ y) / total
    else:
        columns, rows = inside.any(dim=1), inside.any(dim=2)
        low_x, high_x = torch.where(columns, x, 1).amin(dim=1), torch.where(columns, x, -1).amax(dim=1)
        low_y, high_y = torch.where(rows, y, 1).amin(dim=1), torch.where(rows, y, -1).amax(dim=1)
        centre_x, centre_y = (low_x + high_x) / 2, (low_y + high_y) / 2
    across, down = x - centre_x[:, None], y - centre_y[:, None]
    distance = (across[:, None] ** 2 + down[:, :, None] ** 2).sqrt()
    pixel = 2 / min(height, width)
    radius = torch.where(inside, distance, 0).amax(dim=(1, 2)) + pixel / 2
    return background, centre_x, centre_y, radius


def pixel_centres(size: int, device: torch.device) -> Tensor:
    """Return the coordinates ``(size,)`` of a row or column of pixels; the image spans [-1, 1]."""
    return (torch.arange(size, device=device) * 2 + 1) / size - 1


def gaussian_blur(images: Tensor, deviations: Tensor) -> Tensor:
    """Blur each image with a Gaussian of its own standard deviation; the image's sum is about the same.

    Args:
        images: ``(N, C, H, W)``.
        deviations: ``(N,)`` or ``(1,)``, in parts of the image's width; 0 leaves an image as it is.
    """
    down, across = (_gaussian(side, deviations, images) for side in images.shape[2:])
    return down[:, None] @ images @ across[:, None].transpose(2, 3)


def _gaussian(side: int, deviations: Tensor, images: Tensor) -> Tensor:
    """Return for each image the matrix ``(N, side, side)`` that blurs a column; its rows sum to 1."""
    pixel = torch.arange(side, device=images.device) / side
    distance = (pixel[:, None] - pixel[None]) ** 2
    weights = torch.exp(-distance / (2 * deviations.clamp_min(0.1 / side) ** 2)[:, None, None])
    return (weights / weights.sum(dim=2, keepdim=True)).to(images.dtype)


def _crop_grid(images: Tensor, crop: Tensor) -> Tensor:
    """Return the grid that enlarges a part of each image and mirrors some of them."""
    side, x, y, mirror = crop.unbind(1)
    zero = torch.zeros_like(side)
    row_x = torch.stack([side * mirror, zero, (1 - side) * x], 1)
    row_y = torch.stack([zero, side, (1 - side) * y], 1)
    return _grid(images, row_x, row_y)


def _change_colour(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation about the image's darkest value, its mean and its grey."""
    low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
    brightness, contrast, saturation = factors.to(images.dtype).unbind(1)
    changed = low + (images - low) * brightness
    changed = torch.lerp(changed.mean(dim=(1, 2, 3), keepdim=True), changed, contrast)
    if images.shape[1] > 1:
        changed = torch.lerp(changed.mean(dim=1, keepdim=True), changed, saturation)
    return torch.minimum(torch.maximum(changed, low), high)


def _change_hues(images: Tensor, moves: Tensor) -> Tensor:
    """Move each pixel's hue along the colour circle; its greatest and least channel keep their values."""
    if images.shape[1] < 3:  # noqa: PLR2004
        return images
    red, green, blue = images.unbind(1)
    high, low = images.amax(dim=1), images.amin(dim=1)
    spread = high - low
    sixth = torch.where(
        high == red,
        green - blue,
        torch.where(high == green, blue - red + 2 * spread, red - green + 4 * spread),
    ) / spread.clamp_min(_LEAST_SPREAD)
    position = (sixth % 6) * (_HUES / 6)
    left = position.long()
    of_left, of_right = (
        moves.to(images.dtype).gather(1, (index % _HUES).flatten(1)).view_as(sixth)
        for index in (left, left + 1)
    )
    sixth = sixth + 6 * torch.lerp(of_left, of_right, position - left)
    distance = (sixth[:, None] + (5 - 2 * torch.arange(3, device=images.device))[:, None, None]) % 6
    return high[:, None] - spread[:, None] * torch.minimum(distance, 4 - distance).clamp(0, 1)


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
