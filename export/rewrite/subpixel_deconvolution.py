"""Compute two transposed convolutions as plain convolutions of sub-pixels, exactly.

A transposed convolution that doubles a map (kernel 4, stride 2, padding 1) computes the pixels of even and
odd rows and columns from different parts of its kernel: four convolutions of 2 x 2, one for each phase. To
interleave the phases into an image would cost what was gained, so the second transposed convolution reads the
phases as channels and computes a block of 4 x 4 pixels for each place. Only its small output is interleaved.

In one dimension, with p the phase of a row and i its place on the first map: row 2 i + p of the first output
is computed from rows i - 1 and i of the input where p = 0, and from i and i + 1 where p = 1; rows 4 i - 1 to
4 i + 2 of the second output are computed from places i - 1 and i of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

_PHASES: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
_TAPS: Final = ((3, 1), (2, 0))
"""For each phase the rows of the kernel that meet its two input rows, in the order of the rows."""
_BLOCK: Final = 4
_MIN_INPUTS: Final = 32
"""Input channels for each output channel; with fewer, the four times larger second product is slower."""


def is_subpixel_pair(first: nn.Module, activation: nn.Module, second: nn.Module) -> bool:
    """Return whether the three layers in a row can be a :class:`SubpixelPair`, and are faster as one."""
    return (
        isinstance(first, nn.ConvTranspose2d)
        and isinstance(activation, (nn.ReLU, nn.LeakyReLU))
        and isinstance(second, nn.ConvTranspose2d)
        and _doubles(first)
        and _doubles(second)
        and first.in_channels >= _MIN_INPUTS * second.out_channels
    )


class SubpixelPair(nn.Module):
    """``after(second(activation(first(x))))`` for layers that :func:`is_subpixel_pair` accepts.

    Maps ``(N, C, H, W)`` to ``(N, O, 4 H, 4 W)``. The activation ``after`` is applied before the pixels are
    interleaved, where it can be part of the convolution.
    """

    def __init__(
        self,
        first: nn.ConvTranspose2d,
        activation: nn.Module,
        second: nn.ConvTranspose2d,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.phases = nn.ModuleList(_phase(first, p, q) for p, q in _PHASES)
        self.activation = activation
        self.blocks = _blocks(second)
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, O, 4 H, 4 W)``."""
        phases = torch.cat(
            [
                self.activation(conv(F.pad(x, (1 - q, q, 1 - p, p))))
                for conv, (p, q) in zip(self.phases, _PHASES, strict=True)
            ],
            dim=1,
        )
        # The blocks begin one pixel outside the image and end three pixels outside it.
        pixels: Tensor = F.pixel_shuffle(self.after(self.blocks(phases)), _BLOCK)
        return pixels[:, :, 1 : 1 + _BLOCK * x.shape[2], 1 : 1 + _BLOCK * x.shape[3]]


def _doubles(deconv: nn.ConvTranspose2d) -> bool:
    settings = (deconv.kernel_size, deconv.stride, deconv.padding, deconv.output_padding, deconv.dilation)
    return settings == ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1)) and deconv.groups == 1


def _phase(deconv: nn.ConvTranspose2d, p: int, q: int) -> nn.Conv2d:
    """Return the convolution for one phase; its input must be padded."""
    conv = nn.Conv2d(deconv.in_channels, deconv.out_channels, 2)
    taps = deconv.weight[:, :, _TAPS[p]][:, :, :, _TAPS[q]]
    conv.weight.copy_(taps.transpose(0, 1))
    assert conv.bias is not None
    conv.bias.copy_(_bias(deconv))
    return conv


def _blocks(deconv: nn.ConvTranspose2d) -> nn.Conv2d:
    """Return the convolution from phases ``(4 C, H, W)`` to blocks ``(16 O, H + 1, W + 1)``."""
    channels, outputs = deconv.in_channels, deconv.out_channels
    # output channel, row and column in the block, phase of row and column, input channel, rows and columns
    weight = torch.zeros(outputs, _BLOCK, _BLOCK, 2, 2, channels, 2, 2)
    taps = [
        (place, phase, row, kernel_row)
        for row in range(_BLOCK)
        for place in (0, 1)
        for phase in (0, 1)
        # A transposed convolution puts input row i times kernel row k into row 2 i + k - padding.
        for kernel_row in (row - 2 * (2 * (place - 1) + phase),)
        if kernel_row in range(_BLOCK)
    ]
    for s, p, u, ky in taps:
        for t, q, v, kx in taps:
            weight[:, u, v, p, q, :, s, t] = deconv.weight[:, :, ky, kx].T
    conv = nn.Conv2d(4 * channels, _BLOCK * _BLOCK * outputs, 2, padding=1)
    conv.weight.copy_(weight.reshape(conv.weight.shape))
    assert conv.bias is not None
    conv.bias.copy_(_bias(deconv).repeat_interleave(_BLOCK * _BLOCK))
    return conv


def _bias(deconv: nn.ConvTranspose2d) -> Tensor:
    return torch.zeros(deconv.out_channels) if deconv.bias is None else deconv.bias
