"""Bring a block of images to another size or number of channels, without a float copy of it.

Images from files go through infogan_tool.runtime.images.files.fit; this does the same to arrays, but for
rounding: resize with an antialiased bicubic filter, weigh red, green and blue as ITU-R BT.601, and pad to a
square with the median colour of the border.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch.nn import functional

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data.imageset import check_fits

__all__ = ["convert_images"]

_CHUNK_BYTES: Final = 32 * 2**20
"""About how much of the source is worked on at a time."""

_LUMA: Final = (19595, 38470, 7471)
"""0.299, 0.587 and 0.114 in units of 1/65536, which is how Pillow rounds them."""


def convert_images(
    images: torch.Tensor, *, size: int | None, channels: int | None, name: str
) -> torch.Tensor:
    """Return the images with ``size`` and ``channels``.

    Args:
        images: uint8 ``(N, C, H, W)``, C 1 or 3; need not be contiguous.
        size: Height and width wanted; ``None`` keeps them, and they must be equal.
        channels: 1 or 3; ``None`` keeps them.
        name: What to call the data set in a message.

    Returns:
        uint8 ``(N, channels, size, size)``, contiguous; ``images`` itself where nothing changes.

    Raises:
        DataError: Images are not square and ``size`` is ``None``, or the result does not fit the memory.
    """
    count, have_channels, height, width = images.shape
    if size is None and height != width:
        raise DataError(f"{name}: images are {height} x {width}, not square (--size pads and resizes them)")
    size = size or height
    channels = channels or have_channels
    if (channels, size, size) == (have_channels, height, width):
        return images.contiguous()
    check_fits(count * channels * size * size, name)
    result = torch.empty((count, channels, size, size), dtype=torch.uint8)
    step = max(1, _CHUNK_BYTES // (have_channels * height * width + channels * size * size))
    for start in range(0, count, step):
        chunk = _resize(images[start : start + step], size)
        if channels < have_channels:
            chunk = _to_grey(chunk)
        # Copying a grey chunk into three channels repeats it.
        result[start : start + step] = _pad(chunk, size)
    return result


def _resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Bring the longer side to ``size`` and keep the aspect."""
    scale = size / max(images.shape[-2:])
    height, width = (max(1, round(side * scale)) for side in images.shape[-2:])
    if (height, width) == images.shape[-2:]:
        return images
    return functional.interpolate(images, size=(height, width), mode="bicubic", antialias=True)


def _to_grey(images: torch.Tensor) -> torch.Tensor:
    red, green, blue = images.to(torch.int32).unbind(1)
    grey = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + 2**15
    return (grey >> 16).to(torch.uint8).unsqueeze(1)


def _pad(images: torch.Tensor, size: int) -> torch.Tensor:
    height, width = images.shape[-2:]
    if height == width:
        return images
    border = torch.cat((images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]), dim=-1)
    median = torch.from_numpy(np.rint(np.median(border.numpy(), axis=-1)).astype(np.uint8))
    square = median[:, :, None, None].repeat(1, 1, size, size)
    top, left = (size - height) // 2, (size - width) // 2
    square[..., top : top + height, left : left + width] = images
    return square
