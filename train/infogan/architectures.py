"""The layers of G, D and Q's encoders in each architecture, for any image size that can be halved.

Shapes: N images, C channels, H = W = size, latent width L, maps of M x M.

============  ==============================================================================================
name          layers
============  ==============================================================================================
``infogan``   the paper's MNIST networks: D halves the image with stride-2 convolutions until the map is at
              most 8 x 8, then covers the whole map with one convolution; G mirrors D (arXiv:1606.03657, C.1)
``dcgan``     halvings down to a map of about 4 x 4, on which the heads of D and Q work; G mirrors D, with no
              layer before the first map (arXiv:1511.06434)
``upsample``  G upsamples by nearest neighbour and convolves, which avoids checkerboard artefacts; D is four
              stride-2 convolutions with dropout
``residual``  residual blocks: train/infogan/residual.py
``mlp``       two fully connected layers each, written as convolutions over the whole image
============  ==============================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from torch import nn

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine.layers import MapToVector, UpsampledConv, VectorToMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig

_LARGEST_FULL_MAP: Final = 8
_SMALLEST_FULL_MAP: Final = 4
_UPSAMPLING: Final = 4
"""Ratio of ``upsample``'s image size to G's first map."""
_UPSAMPLE_WIDTHS: Final = (1, 2, 4, 8)
"""Channels of the convolutions of ``upsample``'s D, in units of the base width."""
_HALVING: Final = {"kernel": 4, "stride": 2, "padding": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """The networks of an architecture of the package."""

    generator: nn.Module
    trunk: nn.Module
    encoder: Callable[[int], nn.Module]
    normal_weights: bool = True
    """Whether weights of convolutions are drawn anew from N(0, 0.02), as DCGAN's."""


@dataclass(frozen=True, slots=True)
class ConvStack:
    """Layers from images ``(N, C, H, W)`` to maps ``(N, width, size, size)``."""

    layers: list[nn.Module]
    width: int
    """Channels of the maps."""
    size: int
    """M."""


def standard_layers(nets: NetworkConfig, latent_dim: int, image: ImageSpec, *, kind: str) -> Layers:
    """Return one of the architectures that this file makes."""
    return Layers(
        generator=nn.Sequential(*_generator_layers(kind, nets, latent_dim, image)),
        trunk=nn.Sequential(*_discriminator_trunk(kind, nets, image).layers),
        encoder=lambda width: nn.Sequential(*encoder_layers(kind, nets, image, width)),
    )


def _generator_layers(kind: str, nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> list[nn.Module]:
    """Return G's layers, from latents ``(N, L)`` to images ``(N, C, H, W)``.

    Raises:
        UsageError: The architecture cannot make images of that size; the message names the nearest sizes.
    """
    full, leak, layers = nets.full_width, nets.leaky_relu_slope, []
    if kind == "mlp":
        layers += [*deconv_block(latent_dim, full, kernel=1), *deconv_block(full, full, kernel=1)]
        layers += [VectorToMap(full, image.channels, image.size)]
    elif kind == "upsample":
        if image.size % _UPSAMPLING:
            raise _wrong_size(image.size, range(8, 513, _UPSAMPLING))
        wide, narrow = 8 * nets.base_width, 4 * nets.base_width
        layers += [VectorToMap(latent_dim, wide, image.size // _UPSAMPLING, bias=False), nn.BatchNorm2d(wide)]
        for outputs in (wide, narrow):
            layers += [UpsampledConv(wide, outputs, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(leak)]
        layers += [nn.Conv2d(narrow, image.channels, 3, padding=1)]
    else:
        widths = halving_widths(nets, image.size, deep=kind == "dcgan")[::-1]
        inputs, first_map = latent_dim, image.size // 2 ** len(widths)
        if kind == "infogan":
            layers += deconv_block(latent_dim, full, kernel=1)
            inputs = full
        layers += deconv_block(inputs, widths[0], kernel=first_map)
        for wide, narrow in pairwise(widths):
            layers += deconv_block(wide, narrow, **_HALVING)
        layers += [nn.ConvTranspose2d(widths[-1], image.channels, 4, 2, 1)]
    return layers


def _discriminator_trunk(kind: str, nets: NetworkConfig, image: ImageSpec) -> ConvStack:
    """Return D without its head.

    Raises:
        UsageError: As in :func:`_generator_layers`.
    """
    # No BatchNorm on the first layer, which would hide the images' brightness from D; and none with spectral
    # normalisation, whose bound BatchNorm's scale would undo.
    norm, full, leak = not nets.spectral_norm, nets.full_width, nets.leaky_relu_slope
    stack = _halving_stack(kind, nets, image, norm_first=False, norm=norm)
    if kind == "infogan":
        block = conv_block(stack.width, full, leak, kernel=stack.size, norm=norm)
        return ConvStack([*stack.layers, *block], full, 1)
    if kind == "mlp":
        first = [MapToVector(stack.width, full, stack.size), nn.LeakyReLU(leak)]
        return ConvStack([*first, *conv_block(full, full, leak, kernel=1, norm=norm)], full, 1)
    return stack


def encoder_layers(kind: str, nets: NetworkConfig, image: ImageSpec, width: int) -> list[nn.Module]:
    """Return an encoder of a separate Q: images to ``width`` features of a 1 x 1 map.

    Raises:
        UsageError: As in :func:`_generator_layers`.
    """
    # BatchNorm on the first layer too: the codes do not depend on an image's brightness.
    stack = _halving_stack(kind, nets, image, norm_first=True, norm=True)
    return [*stack.layers, *conv_block(stack.width, width, nets.leaky_relu_slope, kernel=stack.size)]


def head_layers(nets: NetworkConfig, trunk: tuple[int, int]) -> list[nn.Module]:
    """Return layers from the trunk's maps to ``q_width`` features of a 1 x 1 map.

    Args:
        nets: Widths.
        trunk: Channels and size of the maps that the trunk returns.
    """
    width, size = trunk
    return conv_block(width, nets.q_width, nets.leaky_relu_slope, kernel=size)


def _halving_stack(
    kind: str, nets: NetworkConfig, image: ImageSpec, *, norm_first: bool, norm: bool
) -> ConvStack:
    """Return the stride-2 convolutions that D's trunk and Q's encoders begin with; none for ``mlp``."""
    if kind == "mlp":
        return ConvStack([], image.channels, image.size)
    if kind == "upsample":
        widths = [nets.base_width * factor for factor in _UPSAMPLE_WIDTHS]
        size, shape = math.ceil(image.size / 2 ** len(widths)), {"kernel": 3, "stride": 2, "padding": 1}
    else:
        widths = halving_widths(nets, image.size, deep=kind == "dcgan")
        size, shape = image.size // 2 ** len(widths), _HALVING
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise([image.channels, *widths])):
        has_norm = norm and (norm_first or index > 0)
        layers += conv_block(inputs, outputs, nets.leaky_relu_slope, norm=has_norm, **shape)
        if nets.dropout:
            layers.append(nn.Dropout2d(nets.dropout))
    return ConvStack(layers, widths[-1], size)


def halving_widths(nets: NetworkConfig, size: int, *, deep: bool = False) -> list[int]:
    """Return D's channels after each halving of an image of ``size``; G mirrors them.

    There is at least one halving, then as many as leave a map of at most 8 x 8; if ``deep``, as many as leave
    at least 4 x 4.

    Raises:
        UsageError: The size does not halve evenly; the message names the nearest ones that do.
    """
    full_map, count = size, 0
    while full_map % 2 == 0 and (
        full_map > _LARGEST_FULL_MAP or not count or (deep and full_map >= 2 * _SMALLEST_FULL_MAP)
    ):
        full_map, count = full_map // 2, count + 1
    if not count or not _SMALLEST_FULL_MAP <= full_map <= _LARGEST_FULL_MAP:
        maps = range(_SMALLEST_FULL_MAP, _LARGEST_FULL_MAP + 1)
        raise _wrong_size(size, {full_map * 2**count for full_map in maps for count in range(1, 8)})
    return [nets.base_width * 2**i for i in range(count)]


def _wrong_size(size: int, possible: set[int] | range) -> UsageError:
    nearest = sorted(sorted(possible, key=lambda s: abs(s - size))[:2])
    return UsageError(
        f"images of {size} x {size} do not halve evenly: use --size {' or '.join(map(str, nearest))}"
    )


def conv_block(
    inputs: int,
    outputs: int,
    leak: float,
    *,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    norm: bool = True,
) -> list[nn.Module]:
    """Return convolution, BatchNorm and LeakyReLU."""
    # Without stride and padding a kernel is always as large as its map here.
    kind = MapToVector if stride == 1 and padding == 0 else nn.Conv2d
    # BatchNorm's shift makes the convolution's bias redundant.
    conv = kind(inputs, outputs, kernel, stride, padding, bias=not norm)
    return [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.LeakyReLU(leak)]


def deconv_block(
    inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    """Return transposed convolution, BatchNorm and ReLU."""
    kind = VectorToMap if stride == 1 and padding == 0 else nn.ConvTranspose2d
    conv = kind(inputs, outputs, kernel, stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
