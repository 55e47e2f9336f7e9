"""Random changes of images that leave what they show as it is, with gradients through them.

Two parts of the training use them. D and Q see real and generated images warped alike, which keeps G from
learning the warps (differentiable augmentation, arXiv:2006.10738). And finding categories without labels
(:mod:`infogan_tool.train.clustering`) rests on them alone: they *are* the statement of what does not matter.
So they are a table of the config, one for each use, and nothing else knows what is in the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

from infogan_tool.train.infogan.interpolation import sample

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import ViewConfig

__all__ = ["Changes", "add_noise", "draw_changes", "random_view"]

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
class Changes:
    """What is drawn for the changes of N images, so that a part of them can be changed as in the whole."""

    count: int
    """N."""
    affine: Tensor | None
    """``(6, N)``: rotation, shear, scale, aspect, shift across and down, from -1 to 1 times the strength."""
    knots: Tensor | None
    """``(N, 2, knots)``: displacements."""
    strokes: tuple[Tensor, ...]
    """Numbers of the images whose strokes grow, shrink, blur and stay; empty: all stay."""
    amount: Tensor | None
    """``(N, 1, 1, 1)``: how far strokes go, 0 to 1."""

    def rows(self, *parts: slice) -> Changes:
        """Return what was drawn for some of the images, which lie in ``parts``, one after the other."""
        if sum(part.stop - part.start for part in parts) == self.count:
            return self

        def cut(drawn: Tensor, dim: int) -> Tensor:
            pieces = [drawn.narrow(dim, part.start, part.stop - part.start) for part in parts]
            return torch.cat(pieces, dim)

        strokes = self.strokes
        if strokes:
            mine = cut(torch.arange(self.count, device=strokes[0].device), 0)
            place = torch.full((self.count,), -1, device=mine.device)
            place[mine] = torch.arange(len(mine), device=mine.device)
            strokes = tuple(places[places >= 0] for places in (place[kind] for kind in strokes))
        return Changes(
            count=sum(part.stop - part.start for part in parts),
            affine=None if self.affine is None else cut(self.affine, 1),
            knots=None if self.knots is None else cut(self.knots, 0),
            strokes=strokes,
            amount=None if self.amount is None else cut(self.amount, 0),
        )

    def apply(self, images: Tensor) -> Tensor:
        """Change images ``(N, C, H, W)``, each in its own way."""
        if self.affine is not None:
            grid = _affine_grid(images, self.affine)
            if self.knots is not None:
                grid = grid + _elastic(images, self.knots)
            images = sample(images, grid)
        if self.amount is not None:
            images = _change_stroke(images, self.strokes, self.amount)
        return images


def draw_changes(count: int, view: ViewConfig, rng: torch.Generator) -> Changes:
    """Draw the changes of ``count`` images.

    Args:
        count: N.
        view: Strength of each kind of change; all 0 leaves the images as they are.
        rng: Source of randomness, on the images' device.
    """
    device, affine, knots, amount = rng.device, None, None, None
    strokes: tuple[Tensor, ...] = ()
    if view.affine or view.elastic:
        affine = (torch.rand(6, count, generator=rng, device=device) * 2 - 1) * view.affine
    if view.elastic:
        drawn = torch.randn(count, 2, _KNOTS**2, generator=rng, device=device)
        knots = drawn * (_ELASTIC * view.elastic)
    if view.stroke:
        strokes = torch.randperm(count, generator=rng, device=device).tensor_split(4)
        amount = torch.rand(count, 1, 1, 1, generator=rng, device=device) * view.stroke
    return Changes(count, affine, knots, strokes, amount)


def random_view(images: Tensor, view: ViewConfig, rng: torch.Generator) -> Tensor:
    """Change each image in its own random way.

    Args:
        images: ``(N, C, H, W)``, any range; pixels from outside repeat the border.
        view: Strength of each kind of change; all 0 returns the images as they are.
        rng: Source of randomness, on the images' device.

    Returns:
        Images of the same shape.
    """
    return draw_changes(len(images), view, rng).apply(images)


def add_noise(images: Tensor, greatest: float, rng: torch.Generator, *, count: int, rows: slice) -> Tensor:
    """Add Gaussian noise, of another standard deviation in each image.

    Args:
        images: ``(n, C, H, W)``, the ``rows`` of a batch.
        greatest: Standard deviations are drawn from 0 to this; 0 returns the images as they are.
        rng: Source of randomness, on the images' device; what is drawn is the whole batch's.
        count: Images of the whole batch.
        rows: Which of them these are.

    Returns:
        Images of the same shape. They may leave their range by a little: a bound would stop gradients.
    """
    if not greatest:
        return images
    amounts = torch.rand(count, 1, 1, 1, generator=rng, device=rng.device) * greatest
    noise = torch.randn(count, *images.shape[1:], generator=rng, device=rng.device)
    return images + (amounts * noise)[rows]


def _affine_grid(images: Tensor, draws: Tensor) -> Tensor:
    angle, shear = draws[0] * _ROTATION, draws[1] * _SHEAR
    scale, aspect = torch.exp(draws[2] * math.log1p(_SCALE)), torch.exp(draws[3] * math.log1p(_ASPECT) / 2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Where each output pixel comes from: rotation x shear x scale, then shift; coordinates span [-1, 1].
    row_x = torch.stack(
        [cos * scale * aspect, (cos * shear - sin) * scale / aspect, draws[4] * 2 * _SHIFT], 1
    )
    row_y = torch.stack(
        [sin * scale * aspect, (sin * shear + cos) * scale / aspect, draws[5] * 2 * _SHIFT], 1
    )
    theta = torch.stack([row_x, row_y], 1).to(images.dtype)
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _elastic(images: Tensor, knots: Tensor) -> Tensor:
    """A smooth displacement ``(N, H, W, 2)`` through displaced knots."""
    count, height, width = images.shape[0], images.shape[2], images.shape[3]
    basis = _knot_basis(height, width, images.device)
    return (knots @ basis).reshape(count, 2, height, width).permute(0, 2, 3, 1)


@lru_cache(maxsize=8)
def _knot_basis(height: int, width: int, device: torch.device) -> Tensor:
    """What each knot moves: ``(knots, height * width)``; a copy from the host would stop a capture."""
    impulses = torch.eye(_KNOTS**2).reshape(-1, 1, _KNOTS, _KNOTS)
    basis = F.interpolate(impulses, size=(height, width), mode="bicubic", align_corners=True).flatten(1)
    return basis.to(device)


def _change_stroke(images: Tensor, kinds: tuple[Tensor, ...], amount: Tensor) -> Tensor:
    """Blend images of the four kinds with their 3 x 3 maximum, minimum, mean, and nothing."""
    thick, thin, soft, same = kinds
    parts = [
        (thick, F.max_pool2d(images[thick], 3, 1, 1)),
        (thin, -F.max_pool2d(-images[thin], 3, 1, 1)),
        (soft, F.avg_pool2d(images[soft], 3, 1, 1, count_include_pad=False)),
        (same, images[same]),
    ]
    index = torch.cat([part for part, _ in parts])
    changed = torch.cat([torch.lerp(images[part], new, amount[part].to(new.dtype)) for part, new in parts])
    return changed[torch.argsort(index)]
