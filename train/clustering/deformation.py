"""How well one image, slightly deformed, explains another.

The image distortion model (Keysers, Deselaers, Gollan, Ney: *Deformation models for image recognition*, IEEE
PAMI 29(8), 2007): every pixel of an image takes the best partner within a small window of the other, and its
cost is the difference of the two pixels' surroundings in the images' gradients. Neighbouring pixels choose
freely, so strokes may bend, shift and stretch by as much as the window, and nothing else is learned or tuned.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["DeformableMatcher"]

_CONTEXT: Final = 3
"""Pixels of a surrounding, each way."""
_LARGEST: Final = 2**15 - 1
_SMALLEST_SIZE: Final = 28
"""Images of at least twice that size are halved until they are smaller."""


class DeformableMatcher:
    """Costs between the images of a set.

    Gradients are kept as small whole numbers, so that a cost is exact and the same on every device.

    Args:
        images: ``(N, C, H, W)`` uint8.
        displacement: Greatest distance, across plus down, between a pixel and its partner.
        images: How many images :meth:`costs` takes at most; memory grows with it.
        candidates: How many candidates each of them has.
    """

    def __init__(self, images: Tensor, displacement: int, input_images: int, candidates: int) -> None:
        self._gradients = _gradients(images)
        self._margin = displacement
        channels, height, width = self._gradients.shape[1:]
        self._shifts = [
            (down, across)
            for down in range(-displacement, displacement + 1)
            for across in range(-displacement, displacement + 1)
            if abs(down) + abs(across) <= displacement
        ]
        # Pairs come last, so that each operation runs over long stretches of memory; and every operation
        # writes into memory that is there already, which is most of what makes this fast on a CPU.
        pairs, wide, high = (input_images, candidates), width + 2 * displacement, height + 2 * displacement
        self._moving = self._zeros(channels, high, wide, *pairs)
        self._fixed = self._zeros(channels, height, width, *pairs)
        self._difference = self._zeros(channels, height, width, *pairs)
        self._energy = self._zeros(height + _CONTEXT - 1, width + _CONTEXT - 1, *pairs)
        self._rows = self._zeros(height, width + _CONTEXT - 1, *pairs)
        self._surrounding = self._zeros(height, width, *pairs)
        self._best = self._zeros(height, width, *pairs)

    def costs(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Return what each image costs to be explained by each of its candidates: ``(n, m)`` int64.

        Args:
            fixed: ``(n,)`` numbers of images, n at most ``images``.
            moving: ``(n, m)`` numbers of the images whose pixels may move, m being ``candidates``.
        """
        count, margin = len(fixed), self._margin
        height, width = self._fixed.shape[1:3]
        inner = slice(margin, margin + height), slice(margin, margin + width)
        movers = self._gradients.index_select(0, moving.flatten())
        movers = movers.view(*moving.shape, *movers.shape[1:])
        self._moving[:, inner[0], inner[1], :count] = movers.permute(2, 3, 4, 0, 1)
        still = self._gradients.index_select(0, fixed).permute(1, 2, 3, 0)
        self._fixed[..., :count, :] = still.contiguous()[..., None]
        self._best.fill_(_LARGEST)
        for down, across in self._shifts:
            rows = slice(margin + down, margin + down + height)
            columns = slice(margin + across, margin + across + width)
            torch.minimum(self._best, self._compare(self._moving[:, rows, columns]), out=self._best)
        return self._best[..., :count, :].sum(dim=(0, 1), dtype=torch.int64)

    def _compare(self, moved: Tensor) -> Tensor:
        """Return the squared difference over every pixel's surrounding ``(H, W, images, candidates)``."""
        torch.sub(moved, self._fixed, out=self._difference)
        energy, rows, sums = self._energy, self._rows, self._surrounding
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


def _gradients(images: Tensor) -> Tensor:
    """Return Sobel's gradients ``(N, 2 C, H, W)`` int16, of a range whose squared sums fit into int16."""
    levels = int((_LARGEST / (2 * images.shape[1] * _CONTEXT**2)) ** 0.5 / 2)
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device) / 4
    kernels = torch.stack([across, across.T])[:, None].repeat(images.shape[1], 1, 1, 1)
    parts = []
    for chunk in torch.split(images, 1000):
        input_images = chunk.float() / 255
        while input_images.shape[-1] >= 2 * _SMALLEST_SIZE:
            input_images = F.avg_pool2d(input_images, 2)
        gradients = F.conv2d(input_images, kernels, padding=1, groups=images.shape[1])
        parts.append((gradients * levels).round().clamp(-levels, levels).to(torch.int16))
    return torch.cat(parts)
