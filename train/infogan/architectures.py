"""The layers of each architecture, for any image size it can halve.

Shapes: N images, C channels, H = W = size, latent width L, maps of M x M.

============  ==============================================================================================
name          layers
============  ==============================================================================================
``infogan``   the paper's MNIST networks: D halves the image by stride-2 convolutions until the map is at
              most 8 x 8 and takes the whole map in one convolution; G is its mirror (arXiv:1606.03657, C.1)
``dcgan``     halvings down to a map of about 4 x 4, on which D's and Q's heads look; G is its mirror, with no
              layer before the first map (arXiv:1511.06434)
``upsample``  G enlarges by nearest neighbours and convolves, which leaves no checkerboard; D is four stride-2
              convolutions with dropout
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
from infogan_tool.train.infogan.layers import MapToVector, VectorToMap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig

__all__ = ["Body", "encoder_layers", "generator_layers", "head_layers", "trunk_body"]

_LARGEST_FULL_MAP: Final = 8
_SMALLEST_FULL_MAP: Final = 4
_UPSAMPLED: Final = 4
"""How much larger ``upsample``'s image is than G's first map."""
_HALVED: Final = 2**4
"""How much smaller than the image the map is that ``upsample``'s D ends in."""
_HALVING: Final = {"kernel": 4, "stride": 2, "padding": 1}


@dataclass(frozen=True, slots=True)
class Body:
    """Layers from images ``(N, C, H, W)`` to maps ``(N, width, size, size)``."""

    layers: list[nn.Module]
    width: int
    """Channels of the maps."""
    size: int
    """M."""


def generator_layers(nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> list[nn.Module]:
    """Return the layers from latents ``(N, L, 1, 1)`` to images ``(N, C, H, W)``, activation included.

    Raises:
        UsageError: The architecture cannot make images of that size; the message names sizes that it can.
    """
    layers = _GENERATORS[nets.architecture](nets, latent_dim, image)
    return [*layers, nn.Sigmoid() if nets.output == "sigmoid" else nn.Tanh()]


def trunk_body(nets: NetworkConfig, image: ImageSpec) -> Body:
    """Return D without its head.

    Raises:
        UsageError: As in :func:`generator_layers`.
    """
    # No BatchNorm on the first layer: D has to see the images' own brightness.
    body, full = _body(nets, image, norm_first=False), nets.full_width
    if nets.architecture == "infogan":
        return Body(
            [*body.layers, *_down(body.width, full, nets.leaky_relu_slope, kernel=body.size)], full, 1
        )
    if nets.architecture == "mlp":
        whole = [MapToVector(body.width, full, body.size), nn.LeakyReLU(nets.leaky_relu_slope)]
        return Body([*whole, *_down(full, full, nets.leaky_relu_slope, kernel=1)], full, 1)
    return body


def encoder_layers(nets: NetworkConfig, image: ImageSpec, width: int) -> list[nn.Module]:
    """Return an encoder of Q's own: images to ``width`` features of a 1 x 1 map.

    Raises:
        UsageError: As in :func:`generator_layers`.
    """
    # BatchNorm on the first layer too: what an image shows is not a matter of its brightness.
    body = _body(nets, image, norm_first=True)
    return [*body.layers, *_down(body.width, width, nets.leaky_relu_slope, kernel=body.size)]


def head_layers(width: int, outputs: int, size: int, leak: float) -> list[nn.Module]:
    """Return layers from maps ``(N, width, size, size)`` to ``outputs`` features of a 1 x 1 map."""
    return _down(width, outputs, leak, kernel=size)


# --- generators ------------------------------------------------------------------------------------------


def _mirrored(nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> list[nn.Module]:
    widths = _widths(nets, image.size)[::-1]
    full_map = image.size // 2 ** len(widths)
    if nets.architecture == "infogan":
        layers = [
            *_up(latent_dim, nets.full_width, kernel=1),
            *_up(nets.full_width, widths[0], kernel=full_map),
        ]
    else:
        layers = _up(latent_dim, widths[0], kernel=full_map)
    for wide, narrow in pairwise(widths):
        layers += _up(wide, narrow, **_HALVING)
    return [*layers, nn.ConvTranspose2d(widths[-1], image.channels, 4, 2, 1)]


def _upsampling(nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> list[nn.Module]:
    if image.size % _UPSAMPLED:
        raise _wrong_size(image.size, range(8, 513, _UPSAMPLED))
    wide, narrow, leak = 8 * nets.base_width, 4 * nets.base_width, nets.leaky_relu_slope
    first = VectorToMap(latent_dim, wide, image.size // _UPSAMPLED, bias=False)
    return [
        *(first, nn.BatchNorm2d(wide), nn.Upsample(scale_factor=2)),
        *(*_down(wide, wide, leak, kernel=3, padding=1), nn.Upsample(scale_factor=2)),
        *_down(wide, narrow, leak, kernel=3, padding=1),
        nn.Conv2d(narrow, image.channels, 3, padding=1),
    ]


def _fully_connected(nets: NetworkConfig, latent_dim: int, image: ImageSpec) -> list[nn.Module]:
    full = nets.full_width
    layers = [*_up(latent_dim, full, kernel=1), *_up(full, full, kernel=1)]
    return [*layers, VectorToMap(full, image.channels, image.size)]


_GENERATORS: Final[Mapping[str, Callable[[NetworkConfig, int, ImageSpec], list[nn.Module]]]] = {
    "infogan": _mirrored,
    "dcgan": _mirrored,
    "upsample": _upsampling,
    "mlp": _fully_connected,
}


# --- D and the encoders of Q -----------------------------------------------------------------------------


def _body(nets: NetworkConfig, image: ImageSpec, *, norm_first: bool) -> Body:
    if nets.architecture == "mlp":
        return Body([], image.channels, image.size)
    if nets.architecture == "upsample":
        widths, size = [nets.base_width * 2**i for i in range(4)], math.ceil(image.size / _HALVED)
        how = {"kernel": 3, "stride": 2, "padding": 1}
    else:
        widths = _widths(nets, image.size)
        size, how = image.size // 2 ** len(widths), _HALVING
    layers: list[nn.Module] = []
    for place, (narrow, wide) in enumerate(pairwise([image.channels, *widths])):
        layers += _down(narrow, wide, nets.leaky_relu_slope, norm=norm_first or place > 0, **how)
        if nets.dropout:
            layers.append(nn.Dropout2d(nets.dropout))
    return Body(layers, widths[-1], size)


# --- sizes and blocks ------------------------------------------------------------------------------------


def _widths(nets: NetworkConfig, size: int) -> list[int]:
    return [nets.base_width * 2**i for i in range(_halvings(size, deep=nets.architecture == "dcgan"))]


def _halvings(size: int, *, deep: bool) -> int:
    """Return how often a size is halved: at least once, until at most 8 remain, or as few as it goes if deep.

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
    return count


def _wrong_size(size: int, possible: set[int] | range) -> UsageError:
    nearest = sorted(sorted(possible, key=lambda s: abs(s - size))[:2])
    return UsageError(
        f"images of {size} x {size} do not halve evenly: use --size {' or '.join(map(str, nearest))}"
    )


def _down(
    inputs: int,
    outputs: int,
    leak: float,
    *,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    norm: bool = True,
) -> list[nn.Module]:
    # Here only kernels as large as the map have neither stride nor padding.
    kind = MapToVector if stride == 1 and padding == 0 else nn.Conv2d
    # BatchNorm's shift makes the convolution's bias redundant.
    conv = kind(inputs, outputs, kernel, stride, padding, bias=not norm)
    return [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.LeakyReLU(leak)]


def _up(inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    kind = VectorToMap if stride == 1 and padding == 0 else nn.ConvTranspose2d
    conv = kind(inputs, outputs, kernel, stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
