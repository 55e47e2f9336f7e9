"""Preprocessing of a batch of images in torch; runtime/preprocessing does it for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.runtime.preprocessing.spec import Preprocessing

__all__ = ["apply_preprocessing_batch"]

_SEEN: Final = 32 / 255
_NEARLY: Final = 0.04
"""A figure whose size is off by no more is moved by whole pixels and stays as sharp as it is."""


def apply_preprocessing_batch(figures: Tensor, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Scale each figure to the preprocessing's box and centre it.

    Args:
        figures: ``(N, 1, S, S)``, from 0 (ground) to 1.
        preprocessing: Box and centre; strokes are left.

    Returns:
        The images, and for each ``(N,)`` whether there is a figure in it.
    """
    size = figures.shape[-1]
    seen = figures[:, 0] >= _SEEN
    top, bottom = _ends(seen.any(2))
    left, right = _ends(seen.any(1))
    longer = torch.maximum(bottom - top, right - left) + 1
    if preprocessing.centre == "mass":
        places = torch.arange(size, dtype=figures.dtype)
        mass = figures.sum((1, 2, 3)).clamp(min=1e-6)
        down = (figures.sum((1, 3)) * places).sum(1) / mass
        across = (figures.sum((1, 2)) * places).sum(1) / mass
    else:
        down, across = (top + bottom + 1) / 2, (left + right + 1) / 2
    scale = longer / preprocessing.box
    keeps = (scale - 1).abs() <= _NEARLY
    scale = torch.where(keeps, 1.0, scale)
    away = across - size / 2, down - size / 2
    shifts = [torch.where(keeps, shift.round(), shift) for shift in away]
    # Where each pixel comes from, in coordinates from -1 to 1: scaled about the middle pixel, then moved.
    own = (1 - scale) / size
    theta = torch.zeros(len(figures), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, 0, 2], theta[:, 1, 2] = (2 * shift / size + own for shift in shifts)
    grid = F.affine_grid(theta, list(figures.shape), align_corners=False)
    laid = F.grid_sample(figures, grid, padding_mode="zeros", align_corners=False)
    return laid, longer >= 2  # noqa: PLR2004 - a speck is no figure


def _ends(marked: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last marked place of each row of ``(N, S)``."""
    size = marked.shape[1]
    first = marked.int().argmax(1)
    last = size - 1 - marked.flip(1).int().argmax(1)
    return first.float(), torch.where(marked.any(1), last, first).float()
