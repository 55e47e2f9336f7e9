"""Random changes of pictures that leave what they show as it is, with gradients through them.

Two parts of the training use them. D and Q see real and generated pictures warped alike, which keeps G from
learning the warps (differentiable augmentation, arXiv:2006.10738). And finding categories without labels
(:mod:`infogan_tool.train.posterior`) rests on them alone: they *are* the statement of what does not matter.
So they are a table of the config, one for each use, and nothing else knows what is in the pictures.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config_tables import ViewConfig

__all__ = ["random_view"]

_ROTATION: Final = math.radians(23)
_SCALE: Final = 0.25
_SHEAR: Final = 0.4
_ASPECT: Final = 0.20
_SHIFT: Final = 0.15
"""Greatest change of each kind at affine strength 1; shift in fractions of the picture."""
_KNOTS: Final = 5
_ELASTIC: Final = 0.1
"""Standard deviation of each of 5 x 5 knots' displacement at elastic strength 1; the picture spans 2."""


def random_view(images: Tensor, view: ViewConfig, rng: torch.Generator) -> Tensor:
    """Change each picture in its own random way.

    Args:
        images: ``(N, C, H, W)``, any range; pixels from outside repeat the border.
        view: Strength of each kind of change; all 0 returns the pictures as they are.
        rng: Source of randomness, on the pictures' device.

    Returns:
        Pictures of the same shape.
    """
    if view.affine or view.elastic:
        grid = _affine_grid(images, view.affine, rng)
        if view.elastic:
            grid = grid + _elastic(images, view.elastic, rng)
        images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if view.stroke:
        images = _change_stroke(images, view.stroke, rng)
    return images


def _affine_grid(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    count = images.shape[0]
    draws = (torch.rand(6, count, generator=rng, device=images.device) * 2 - 1) * strength
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


def _elastic(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """A smooth displacement ``(N, H, W, 2)`` through random knots."""
    count, height, width = images.shape[0], images.shape[2], images.shape[3]
    basis = _knot_basis(height, width).to(images.device)
    knots = torch.randn(count, 2, len(basis), generator=rng, device=images.device) * (_ELASTIC * strength)
    return (knots @ basis).reshape(count, 2, height, width).permute(0, 2, 3, 1)


@lru_cache(maxsize=8)
def _knot_basis(height: int, width: int) -> Tensor:
    """What each knot moves: ``(knots, height * width)``."""
    impulses = torch.eye(_KNOTS**2).reshape(-1, 1, _KNOTS, _KNOTS)
    return F.interpolate(impulses, size=(height, width), mode="bicubic", align_corners=True).flatten(1)


def _change_stroke(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Blend a quarter of the pictures each with their 3 x 3 maximum, minimum, mean, and nothing."""
    order = torch.randperm(len(images), generator=rng, device=images.device)
    amount = torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device) * strength
    thick, thin, soft, same = order.tensor_split(4)
    parts = [
        (thick, F.max_pool2d(images[thick], 3, 1, 1)),
        (thin, -F.max_pool2d(-images[thin], 3, 1, 1)),
        (soft, F.avg_pool2d(images[soft], 3, 1, 1, count_include_pad=False)),
        (same, images[same]),
    ]
    index = torch.cat([part for part, _ in parts])
    changed = torch.cat([torch.lerp(images[part], new, amount[part].to(new.dtype)) for part, new in parts])
    return changed[torch.argsort(index)]
