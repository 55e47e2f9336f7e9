"""Convert images to the size and channels of a training set, with the runtime's own resizing and padding."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.convert import fit
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train.data.imageset import check_fits

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

_MAX_THREADS: Final = 16
_IMAGES_PER_TASK: Final = 64


def convert_images(
    images: torch.Tensor, *, size: int | None, channels: int | None, name: str
) -> torch.Tensor:
    """Return the images with ``size`` and ``channels``.

    Args:
        images: uint8 ``(N, C, H, W)``, C 1 or 3; need not be contiguous.
        size: Height and width; ``None`` keeps them, and they must be equal.
        channels: 1 or 3; ``None`` keeps them.
        name: Name of the data set, for messages.

    Returns:
        uint8 ``(N, channels, size, size)``, contiguous; ``images`` itself where nothing changes.

    Raises:
        DataError: Images are not square and ``size`` is ``None``, or the result does not fit into memory.
    """
    count, own_channels, height, width = images.shape
    if size is None and height != width:
        raise DataError(f"{name}: images are {height} x {width}, not square (--size pads and resizes them)")
    spec = ImageSpec(size=size or height, channels=channels or own_channels, low=0.0, high=1.0)
    if (spec.channels, spec.size, spec.size) == (own_channels, height, width):
        return images.contiguous()
    pixels = (images[:, 0] if own_channels == 1 else images.permute(0, 2, 3, 1)).numpy()
    return build_block(count, spec.size, spec.channels, name, lambda i: fit(Image.fromarray(pixels[i]), spec))


def build_block(
    count: int, size: int, channels: int, name: str, make: Callable[[int], npt.NDArray[np.uint8]]
) -> torch.Tensor:
    """Return one block of the images that ``make`` returns, computed in parallel threads.

    Args:
        count: Number of images.
        size: Their height and width.
        channels: 1 or 3.
        name: Name of the data set, for messages.
        make: Returns image number i: uint8 ``(size, size, channels)``.

    Returns:
        uint8 ``(count, channels, size, size)``.

    Raises:
        DataError: The block does not fit into memory.
    """
    check_fits(count * channels * size * size, name)
    block = np.empty((count, channels, size, size), np.uint8)

    def fill(start: int) -> None:
        for index in range(start, min(start + _IMAGES_PER_TASK, count)):
            block[index] = make(index).transpose(2, 0, 1)

    # Pillow decodes and resizes without holding Python's lock.
    pool = ThreadPoolExecutor(min(default_threads(), _MAX_THREADS))
    try:
        for _ in pool.map(fill, range(0, count, _IMAGES_PER_TASK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return torch.from_numpy(block)
