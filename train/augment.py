"""What D and Q see: the same random warps for real and generated pictures, with gradients through them.

Augmenting both sides keeps G from learning the warps (differentiable augmentation, arXiv:2006.10738).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["random_affine"]

_ROTATION: Final = math.radians(23)
_SCALE: Final = 0.25
_SHEAR: Final = 0.4
_ASPECT: Final = 0.20
_SHIFT: Final = 0.15
"""Greatest change of each kind at strength 1; shift in fractions of the picture."""


def random_affine(images: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Warp each picture by its own random affine map.

    Args:
        images: ``(N, C, H, W)``, any range; pixels from outside repeat the border.
        strength: 0 returns the pictures as they are; 1 is the full range above.
        rng: Source of randomness, on the pictures' device.

    Returns:
        Pictures of the same shape.
    """
    if strength == 0:
        return images
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
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
