"""Bilinear sampling of images whose gradient is deterministic on a GPU too."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F


def grid_sample(images: Tensor, grid: Tensor) -> Tensor:
    """Sample images at the points of a grid: bilinear, with the border's pixels outside.

    Args:
        images: ``(N, C, H, W)``.
        grid: ``(N, height, width, 2)``: x and y, the outer edges of the image at -1 and 1.

    Returns:
        ``(N, C, height, width)``; the gradient reaches the images, and on a GPU not the grid.
    """
    if images.device.type == "cuda" and images.requires_grad:
        return cast("Tensor", DeterministicGridSample.apply(images, grid))
    return _grid_sample(images, grid)


class DeterministicGridSample(torch.autograd.Function):
    """torch's ``grid_sample`` with a gradient whose sums have a fixed order; torch's on a GPU have none."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:  # noqa: ANN401
        """Return the sampled images."""
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return _grid_sample(images, grid)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the gradient of the images: each output's is divided among the four pixels around it."""
        (grid,), (count, channels, height, width) = ctx.saved_tensors, ctx.shape
        x = ((grid[..., 0] + 1) * width - 1).div(2).clamp(0, width - 1)
        y = ((grid[..., 1] + 1) * height - 1).div(2).clamp(0, height - 1)
        left, top = x.floor(), y.floor()
        right_weight, bottom_weight = x - left, y - top
        first = torch.arange(count, device=grid.device)[:, None, None] * (height * width)
        indices, weights = [], []
        for row, row_weight in ((top, 1 - bottom_weight), (top + 1, bottom_weight)):
            for column, column_weight in ((left, 1 - right_weight), (left + 1, right_weight)):
                # Beyond the last pixel the weight is 0.
                row_index, column_index = row.clamp(max=height - 1), column.clamp(max=width - 1)
                indices.append(first + (row_index * width + column_index).long())
                weights.append(row_weight * column_weight)
        incoming = gradients[0].permute(0, 2, 3, 1)
        values = torch.stack([weight[..., None] * incoming for weight in weights]).reshape(-1, channels)
        pixels = values.new_zeros(count * height * width, channels)
        pixels.index_put_((torch.stack(indices).flatten(),), values, accumulate=True)  # sorts, then adds
        return pixels.view(count, height, width, channels).permute(0, 3, 1, 2), None


def _grid_sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
