"""Architecture ``residual``: blocks whose output is added to their input (He et al., arXiv:1512.03385).

G doubles the map in each block, D halves it, as in the networks of Gulrajani et al. (arXiv:1704.00028) and
Miyato et al. (arXiv:1802.05957). With ``networks.spectral_norm`` D has no BatchNorm.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from infogan_tool.train.engine.layers import MeanConv, UpsampledConv, VectorToMap
from infogan_tool.train.infogan.architectures import Layers, conv_block, halving_widths

if TYPE_CHECKING:
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig


class UpBlock(nn.Module):
    """Maps ``(N, inputs, M, M)`` to ``(N, outputs, 2 M, 2 M)``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            _initialised(UpsampledConv(inputs, outputs)),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _convolution(outputs, outputs),
        )
        self.skip = nn.Sequential(_convolution(inputs, outputs, kernel=1), nn.Upsample(scale_factor=2))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of both paths."""
        total: Tensor = self.main(maps) + self.skip(maps)
        return total


class DownBlock(nn.Module):
    """Maps ``(N, inputs, M, M)`` to ``(N, outputs, M / 2, M / 2)``.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        leak: Slope of LeakyReLU.
        norm: Whether to use BatchNorm.
        first: Whether the input is the image, which is neither normalised nor activated.
    """

    def __init__(self, inputs: int, outputs: int, leak: float, *, norm: bool, first: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *([] if first else _activation(inputs, leak, norm=norm)),
            _convolution(inputs, outputs),
            *_activation(outputs, leak, norm=norm),
            _initialised(MeanConv(outputs, outputs)),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), _convolution(inputs, outputs, kernel=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of both paths."""
        total: Tensor = self.main(maps) + self.skip(maps)
        return total


def residual_layers(nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> Layers:
    """Return the architecture; its channels are those of ``infogan``.

    Raises:
        UsageError: The size of the images does not halve evenly.
    """
    widths = halving_widths(nets, image.size)
    size = image.size // 2 ** len(widths)
    up, leak = widths[::-1], nets.leaky_relu_slope
    generator = nn.Sequential(
        VectorToMap(latent_dim, up[0], size),
        *(UpBlock(inputs, outputs) for inputs, outputs in pairwise([*up, up[-1]])),
        nn.BatchNorm2d(up[-1]),
        nn.ReLU(),
        _convolution(up[-1], image.channels),
    )

    def down(*, norm: bool) -> list[nn.Module]:
        channels = pairwise([image.channels, *widths])
        blocks: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(channels):
            blocks.append(DownBlock(inputs, outputs, leak, norm=norm, first=index == 0))
            if nets.dropout:
                blocks.append(nn.Dropout2d(nets.dropout))
        return [*blocks, *_activation(widths[-1], leak, norm=norm)]

    return Layers(
        generator=generator,
        trunk=nn.Sequential(*down(norm=not nets.spectral_norm)),
        encoder=lambda width: nn.Sequential(
            *down(norm=True), *conv_block(widths[-1], width, leak, kernel=size)
        ),
        normal_weights=False,
    )


def _activation(channels: int, leak: float, *, norm: bool) -> list[nn.Module]:
    return [*([nn.BatchNorm2d(channels)] if norm else []), nn.LeakyReLU(leak)]


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Return a convolution that keeps the size of maps."""
    return _initialised(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


def _initialised(convolution: nn.Conv2d) -> nn.Conv2d:
    """Draw the weights as Miyato et al. do."""
    nn.init.xavier_uniform_(
        convolution.weight, gain=1.0 if convolution.kernel_size == (1, 1) else math.sqrt(2)
    )
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution
