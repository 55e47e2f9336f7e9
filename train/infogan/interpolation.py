"""Images read off between their pixels, with a gradient that is the same each time on a GPU too."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["OrderedSampling", "sample"]


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Read images off at the places of a grid: bilinear, the border's pixels beyond it.

    Args:
        images: ``(N, C, H, W)``.
        grid: ``(N, height, width, 2)``: across and down, the outer edges of the image at -1 and 1.

    Returns:
        ``(N, C, height, width)``; gradients reach the images, and on a GPU not the grid.
    """
    if images.device.type == "cuda" and images.requires_grad:
        return cast("Tensor", OrderedSampling.apply(images, grid))
    return _sample(images, grid)


class OrderedSampling(torch.autograd.Function):
    """As torch's own, but for the gradient on a GPU, whose sums torch takes in whatever order they come."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:  # noqa: ANN401
        """Return the images read off."""
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return _sample(images, grid)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the gradient of the images: what was read off four pixels goes back to them."""
        (grid,), (count, channels, height, width) = ctx.saved_tensors, ctx.shape
        across = ((grid[..., 0] + 1) * width - 1).div(2).clamp(0, width - 1)
        down = ((grid[..., 1] + 1) * height - 1).div(2).clamp(0, height - 1)
        left, top = across.floor(), down.floor()
        right_share, bottom_share = across - left, down - top
        first = torch.arange(count, device=grid.device)[:, None, None] * (height * width)
        places, shares = [], []
        for row, row_share in ((top, 1 - bottom_share), (top + 1, bottom_share)):
            for column, column_share in ((left, 1 - right_share), (left + 1, right_share)):
                # What lies beyond the last pixel has no share.
                row_index, column_index = row.clamp(max=height - 1), column.clamp(max=width - 1)
                places.append(first + (row_index * width + column_index).long())
                shares.append(row_share * column_share)
        incoming = gradients[0].permute(0, 2, 3, 1)
        values = torch.stack([share[..., None] * incoming for share in shares]).reshape(-1, channels)
        pixels = values.new_zeros(count * height * width, channels)
        pixels.index_put_((torch.stack(places).flatten(),), values, accumulate=True)  # sorts, then adds
        return pixels.view(count, height, width, channels).permute(0, 3, 1, 2), None


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
