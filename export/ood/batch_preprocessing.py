"""Preprocess a batch of images in torch.

``runtime/preprocessing`` prepares one image at any size, for users. This is its counterpart for the tens of
thousands of varied images of one size that the OOD score is fitted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

from infogan_tool.runtime.preprocessing.matches import VISIBLE

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.runtime.preprocessing.spec import Preprocessing

_KEEP_SIZE: Final = 0.04
"""A foreground whose size is off by at most this share is moved by whole pixels, which keeps it sharp."""


def preprocess_batch(images: Tensor, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Scale the foreground of each image to the preprocessing's box and centre it.

    Args:
        images: ``(N, 1, S, S)``, from 0 (background) to 1.
        preprocessing: Box and centre; strokes are not thickened.

    Returns:
        The images, and for each ``(N,)`` whether it has a foreground.
    """
    size = images.shape[-1]
    seen = images[:, 0] >= VISIBLE / 255
    top, bottom = _ends(seen.any(2))
    left, right = _ends(seen.any(1))
    longer = torch.maximum(bottom - top, right - left) + 1
    if preprocessing.centre == "mass":
        places = torch.arange(size, dtype=images.dtype)
        mass = images.sum((1, 2, 3)).clamp(min=1e-6)
        down = (images.sum((1, 3)) * places).sum(1) / mass
        across = (images.sum((1, 2)) * places).sum(1) / mass
    else:
        down, across = (top + bottom + 1) / 2, (left + right + 1) / 2
    scale = longer / preprocessing.box
    keeps = (scale - 1).abs() <= _KEEP_SIZE
    scale = torch.where(keeps, 1.0, scale)
    away = across - size / 2, down - size / 2
    shifts = [torch.where(keeps, shift.round(), shift) for shift in away]
    # Source of each pixel in coordinates from -1 to 1: scaled about the middle pixel, then moved.
    own = (1 - scale) / size
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, 0, 2], theta[:, 1, 2] = (2 * shift / size + own for shift in shifts)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    centred = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return centred, longer >= 2  # noqa: PLR2004 - a single pixel is no foreground


def _ends(marked: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last marked place of each row of ``(N, S)``."""
    size = marked.shape[1]
    first = marked.int().argmax(1)
    last = size - 1 - marked.flip(1).int().argmax(1)
    return first.float(), torch.where(marked.any(1), last, first).float()
