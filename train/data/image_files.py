"""Read many image files into one block."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from infogan_tool.runtime.errors import DataError, ImageError
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.formats import open_header
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.storage.atomic import open_regular, printable
from infogan_tool.train.data.convert import build_block
from infogan_tool.train.data.imageset import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "I", "F"})


def native_format(paths: Sequence[Path], size: int | None, channels: int | None) -> tuple[int, int]:
    """Return the size and channels that all images have, from their headers.

    Args:
        paths: At least one image file.
        size: Returned unchanged if given.
        channels: Returned unchanged if given.

    Returns:
        Size and channels. An image with a palette counts as colour; transparency does not count.

    Raises:
        DataError: A header cannot be read, an image is not square, or two images differ.
    """
    if size is not None and channels is not None:
        return size, channels
    first = paths[0]
    width, found = 0, 0
    with warnings.catch_warnings():
        # Pillow warns of large images, which are checked here, and of irregular headers.
        warnings.simplefilter("ignore")
        for path in paths:
            (this_width, this_height), grey = _read_header(path)
            if size is None:
                _check_size(path, this_width, this_height, first, width)
            this_channels = 1 if grey else 3
            if channels is None and found not in (0, this_channels):
                colours = {1: "grey", 3: "colour"}
                raise DataError(
                    f"{printable(path)} is {colours[this_channels]}, {printable(first)} is {colours[found]}: "
                    "set the channels with --channels 1 or --channels 3"
                )
            width, found = this_width, this_channels
    return size or width, channels or found


def _check_size(path: Path, width: int, height: int, first: Path, expected: int) -> None:
    shown = f"{printable(path)} is {width} x {height}"
    if expected and width != expected and width == height:
        raise DataError(f"{shown}, {printable(first)} is {expected} x {expected}: set the size with --size")
    if width != height:
        raise DataError(f"{shown}, not square: --size pads and resizes every image")
    if width > MAX_SIZE:
        raise DataError(f"{shown}, more than {MAX_SIZE} pixels a side: --size makes images smaller")


def is_grey(mode: str) -> bool:
    """Return whether Pillow's images of a mode are grey."""
    return mode in _GREY_MODES or mode.startswith("I;")


def _read_header(path: Path) -> tuple[tuple[int, int], bool]:
    shown = printable(path)
    try:
        with open_regular(path) as file, open_header(file) as image:
            return image.size, is_grey(image.mode)
    except ImageError as error:
        raise DataError(f"{shown} is {error}") from error
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or printable(error)}") from error
    except Exception as error:  # decoders raise any exception on damaged files
        raise DataError(f"{shown} cannot be read: {printable(error)}") from error


def read_image_files(
    paths: Sequence[Path], *, size: int, channels: int, name: str, padded_size: int | None = None
) -> torch.Tensor:
    """Read image files with the runtime's reader, each resized to ``size`` and ``channels``.

    Args:
        paths: Image files; at least one.
        size: Height and width of the result.
        channels: 1 or 3.
        name: Name of the data set, for messages.
        padded_size: Height and width that images are resized to before the centre ``size`` is cropped; None:
            ``size``.

    Returns:
        uint8 ``(N, channels, size, size)`` in the order of ``paths``.

    Raises:
        DataError: An image cannot be read (the first one is named), or the images do not fit into memory.
    """
    spec = ImageSpec(size=padded_size or size, channels=channels, low=0.0, high=1.0)
    edge = (spec.size - size) // 2
    centre = slice(edge, edge + size)
    try:
        return build_block(
            len(paths), size, channels, name, lambda i: read_image(paths[i], spec, raw=True)[centre, centre]
        )
    except ImageError as error:
        raise DataError(str(error)) from error


class FileReader:
    """Reads single image files; an :class:`~infogan_tool.train.data.stream.ImageReader`.

    Args:
        paths: Image files.
        size: Height and width of the images.
        channels: 1 or 3.
    """

    def __init__(self, paths: Sequence[Path], *, size: int, channels: int) -> None:
        self.size, self.channels = size, channels
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> torch.Tensor:
        """Return image number ``index``: ``(C, H, W)`` uint8.

        Raises:
            DataError: It cannot be read.
        """
        spec = ImageSpec(size=self.size, channels=self.channels, low=0.0, high=1.0)
        try:
            pixels = read_image(self._paths[index], spec, raw=True)
        except ImageError as error:
            raise DataError(str(error)) from error
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))
