"""The deformation cost between two images.

The image distortion model (Keysers, Deselaers, Gollan, Ney: *Deformation models for image recognition*, IEEE
PAMI 29(8), 2007): every pixel of one image is matched to the best pixel within a small window of the other,
and the cost is the difference of the two pixels' neighbourhoods in the images' gradients. Pixels are matched
independently, so strokes may bend, shift and stretch by as much as the window; nothing is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from infogan_tool.train.data.source import ImageSource

_CONTEXT: Final = 3
"""Height and width of a neighbourhood in pixels."""
_LARGEST: Final = 2**15 - 1
"""Greatest int16."""
_SMALLEST_SIZE: Final = 28
"""Images of at least twice this size are halved until they are smaller."""


class DeformableMatcher:
    """Deformation costs between the images of a set.

    Gradients are rounded to small integers, so that a cost is exact and the same on every device.

    Args:
        images: The images.
        displacement: Greatest distance in x plus y between a pixel and its match.
        batch_size: Greatest number of images for :meth:`costs`; memory grows with it.
        candidates: Number of candidates of each image.
    """

    def __init__(self, images: ImageSource, displacement: int, batch_size: int, candidates: int) -> None:
        self._gradients = _gradients(images)
        self._margin = displacement
        channels, height, width = self._gradients.shape[1:]
        self._shifts = [
            (down, across)
            for down in range(-displacement, displacement + 1)
            for across in range(-displacement, displacement + 1)
            if abs(down) + abs(across) <= displacement
        ]
        # Pairs are the last dimensions, so that operations run over contiguous memory, and all results go
        # into buffers allocated once: most of the speed on a CPU comes from these two.
        pairs, wide, high = (batch_size, candidates), width + 2 * displacement, height + 2 * displacement
        self._moving = self._zeros(channels, high, wide, *pairs)
        self._fixed = self._zeros(channels, height, width, *pairs)
        self._difference = self._zeros(channels, height, width, *pairs)
        self._energy = self._zeros(height + _CONTEXT - 1, width + _CONTEXT - 1, *pairs)
        self._rows = self._zeros(height, width + _CONTEXT - 1, *pairs)
        self._sums = self._zeros(height, width, *pairs)
        self._best = self._zeros(height, width, *pairs)

    def costs(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Return the cost of each image and each of its candidates: ``(n, m)`` int64.

        Args:
            fixed: ``(n,)`` indices of images, n at most ``batch_size``.
            moving: ``(n, m)`` indices of their candidates, whose pixels move; m is ``candidates``.
        """
        count, margin = len(fixed), self._margin
        height, width = self._fixed.shape[1:3]
        inner = slice(margin, margin + height), slice(margin, margin + width)
        candidates = self._gradients.index_select(0, moving.flatten())
        candidates = candidates.view(*moving.shape, *candidates.shape[1:])
        self._moving[:, inner[0], inner[1], :count] = candidates.permute(2, 3, 4, 0, 1)
        images = self._gradients.index_select(0, fixed).permute(1, 2, 3, 0)
        self._fixed[..., :count, :] = images.contiguous()[..., None]
        self._best.fill_(_LARGEST)
        for down, across in self._shifts:
            rows = slice(margin + down, margin + down + height)
            columns = slice(margin + across, margin + across + width)
            torch.minimum(self._best, self._compare(self._moving[:, rows, columns]), out=self._best)
        return self._best[..., :count, :].sum(dim=(0, 1), dtype=torch.int64)

    def _compare(self, moved: Tensor) -> Tensor:
        """Return the squared difference over every pixel's neighbourhood ``(H, W, images, candidates)``."""
        torch.sub(moved, self._fixed, out=self._difference)
        energy, rows, sums = self._energy, self._rows, self._sums
        inner, (first, *others) = energy[1:-1, 1:-1], self._difference
        torch.mul(first, first, out=inner)
        for other in others:
            inner.addcmul_(other, other)
        torch.add(energy[:-2], energy[1:-1], out=rows)
        rows.add_(energy[2:])
        torch.add(rows[:, :-2], rows[:, 1:-1], out=sums)
        return sums.add_(rows[:, 2:])

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.int16, device=self._gradients.device)


def _gradients(images: ImageSource) -> Tensor:
    """Return Sobel gradients ``(N, 2 C, H, W)`` int16, so small that sums of their squares fit into int16."""
    largest = int((_LARGEST / (2 * images.shape[1] * _CONTEXT**2)) ** 0.5 / 2)
    sobel_x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device) / 4
    kernels = torch.stack([sobel_x, sobel_x.T])[:, None].repeat(images.shape[1], 1, 1, 1)
    side = images.shape[-1]
    while side >= 2 * _SMALLEST_SIZE:
        side //= 2
    found = torch.empty(
        (len(images), 2 * images.shape[1], side, side), dtype=torch.int16, device=images.device
    )
    for index in torch.split(torch.arange(len(images), device=images.device), 1000):
        values = images[index].float() / 255
        while values.shape[-1] > side:
            values = F.avg_pool2d(values, 2)
        gradients = F.conv2d(values, kernels, padding=1, groups=images.shape[1])
        found[index] = (gradients * largest).round().clamp(-largest, largest).to(torch.int16)
    return found
