"""Convolutions that are computed in another way than torch's, with the same result up to rounding.

Class, weights and state dict are those of convolutions.

- :class:`MapToVector` and :class:`VectorToMap`, over whole maps, are one matrix product each. torch's
  convolutions would copy the weights, which are most of a network's, into a format for small kernels and back
  in every pass (docs/results/speed.md).
- :class:`UpsampledConv` and :class:`MeanConv`, of 3 x 3 beside a change of size by 2, are one convolution of
  4 x 4 with stride 2 each: 16 products for each pixel of the smaller map instead of 36.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, pad


class MapToVector(nn.Conv2d):
    """A convolution over whole maps ``(N, C, M, M)``, with a kernel of M, to ``(N, F, 1, 1)``."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(N, F, 1, 1)``.

        Raises:
            RuntimeError: The maps are not of the kernel's size.
        """
        return linear(maps.flatten(1), *conv_product(self))[:, :, None, None]


class VectorToMap(nn.ConvTranspose2d):
    """A transposed convolution of vectors ``(N, C, 1, 1)``, with a kernel of M, to ``(N, F, M, M)``."""

    memory_format: torch.memory_format = torch.preserve_format
    """Of the maps."""

    def forward(self, vectors: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002 - torch's
        """Return ``(N, F, M, M)``.

        Raises:
            RuntimeError: The vectors have a width other than C.
        """
        maps = linear(vectors.flatten(1), *deconv_product(self)).view(len(vectors), *self.weight.shape[1:])
        return maps.to(memory_format=self.memory_format)


class UpsampledConv(nn.Conv2d):
    """Nearest-neighbour upsampling by 2, then a convolution of 3 x 3 that keeps the size of maps."""

    memory_format: torch.memory_format = torch.preserve_format
    """Of the kernel, which is a sum of shifted weights."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(N, inputs, M, M)`` to ``(N, outputs, 2 M, 2 M)``."""
        kernel = _sums_of_shifts(self.weight).flip(2, 3).transpose(0, 1)
        kernel = kernel.to(memory_format=self.memory_format)
        return conv_transpose2d(maps, kernel, self.bias, stride=2, padding=1)


class MeanConv(nn.Conv2d):
    """A convolution of 3 x 3 that keeps the size of maps, then the mean of each 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(N, inputs, M, M)`` to ``(N, outputs, M / 2, M / 2)``."""
        return conv2d(maps, self.kernel(), self.bias, stride=2, padding=1)

    def kernel(self) -> Tensor:
        """Return the kernel ``(outputs, inputs, 4, 4)`` of the convolution with stride 2 and padding 1."""
        return _sums_of_shifts(self.weight) / 4


def _sums_of_shifts(weight: Tensor) -> Tensor:
    """Return kernels ``(F, C, 4, 4)``: the sum of those of 3 x 3 at the four shifts by 0 or 1 pixel."""
    padded = pad(weight, (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[:, :, :, 1:] + rows[:, :, :, :-1]


def conv_product(conv: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """Return weight ``(F, C M M)`` and bias ``(F,)`` of a convolution over whole maps as a matrix product."""
    return conv.weight.flatten(1), conv.bias


def deconv_product(deconv: nn.ConvTranspose2d) -> tuple[Tensor, Tensor | None]:
    """Return weight ``(F M M, C)`` and bias ``(F M M,)`` of a transposed convolution of vectors likewise."""
    area = deconv.weight[0, 0].numel()
    bias = None if deconv.bias is None else deconv.bias.repeat_interleave(area)
    return deconv.weight.flatten(1).t(), bias
