"""Images given in Python: an array, a tensor, or a data set such as torch's, with an image for each index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from PIL import Image

from infogan_tool.runtime.errors import DataError, ImageError
from infogan_tool.runtime.images.convert import fit, flatten
from infogan_tool.runtime.images.files import upright
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.image_files import is_grey
from infogan_tool.train.data.imageset import ImageSet

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

_REASON: Final = 200
_CHUNK: Final = 1024
"""Images that are converted at a time."""


class Images(Protocol):
    """A map-style data set, such as torch's: an image for each index.

    An item is an image, a tuple whose first element is one, or a table with the key ``image``. An image is a
    PIL image, or an array or tensor ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``: uint8 from 0 to 255, or
    float from 0 to 1. Labels are not read.
    """

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int, /) -> Any:  # noqa: ANN401 - see above
        """Return item number ``index``."""


def is_array(data: object) -> bool:
    """Return whether ``data`` is one array or tensor of images."""
    return isinstance(data, (np.ndarray, torch.Tensor))


def array_block(data: npt.NDArray[Any] | Tensor, *, size: int | None, channels: int | None) -> ImageSet:
    """Return the images of an array or tensor, uint8 from 0 to 255 or float from 0 to 1.

    Args:
        data: ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``; C is 1 or 3.
        size: Height and width of the result; None: as in the data.
        channels: 1 or 3; None: as in the data.

    Raises:
        DataError: It has another shape, type or range, or no image.
    """
    _check_dense(data, "the images")
    block = torch.empty(0, dtype=torch.uint8)
    for start in range(0, len(data), _CHUNK):
        name = f"image {start} and later"
        part = torch.from_numpy(_to_nchw(_as_numpy(data[start : start + _CHUNK], name), name))
        if not start:
            block = torch.empty((len(data), *part.shape[1:]), dtype=torch.uint8)
        block[start : start + len(part)] = part
    if not len(data):
        raise DataError("there is no image in the array")
    name = type(data).__name__.lower()
    images = convert_images(block, size=size, channels=channels, name=name)
    return ImageSet(images=images, labels=None, label_names=None, name=name)


class DatasetReader:
    """Reads images of a map-style data set.

    Args:
        data: The data set, or an array.
        size: Height and width of the result; None: that of the first image, which all must have.
        channels: 1 or 3; None: those of the first image, which all must have.

    Raises:
        DataError: It has no length, no images, or its first image cannot be used.
    """

    def __init__(self, data: Images, *, size: int | None, channels: int | None) -> None:
        self.name = printable(type(data).__name__)
        self._data, self._size, self._channels = data, size, channels
        try:
            self._count = len(data)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{self.name} has no length: training needs a data set with __len__ and __getitem__"
            ) from error
        if not self._count:
            raise DataError(f"{self.name}: there is no image")
        first = self._pixels(0)
        height, width, own_channels = first.shape
        if size is None and height != width:
            raise DataError(f"{self.name}: image 0 is {height} x {width}, not square: set data.size")
        self.size, self.channels = size or height, channels or own_channels
        """Of every image."""

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> Tensor:
        """Return image number ``index``: ``(C, H, W)`` uint8.

        Raises:
            DataError: It cannot be read, or differs from the first one in size or channels.
        """
        pixels = self._pixels(index)
        height, width, channels = pixels.shape
        if self._size is None and (height, width) != (self.size, self.size):
            raise DataError(
                f"{self.name}: image {index} is {height} x {width}, image 0 is {self.size} x {self.size}: "
                "set data.size, so that all are resized"
            )
        if self._channels is None and channels != self.channels:
            raise DataError(
                f"{self.name}: image {index} has {channels} channels, image 0 has {self.channels}: "
                "set data.channels"
            )
        if (height, width, channels) != (self.size, self.size, self.channels):
            spec = ImageSpec(size=self.size, channels=self.channels, low=0.0, high=1.0)
            pixels = fit(Image.fromarray(pixels[..., 0] if channels == 1 else pixels), spec)
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def _pixels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as ``(H, W, C)``."""
        name = f"{self.name}: image {index}"
        try:
            item = self._data[index]
        except DataError:
            raise
        except Exception as error:  # any code of the data set's author
            reason = printable(" ".join(str(error).split()))
            raise DataError(f"{name}: {type(error).__name__}: {reason:.{_REASON}}") from error
        if isinstance(item, dict):
            if "image" not in item:
                keys = printable(", ".join(map(str, item)))
                raise DataError(f"{name} is a table without the key 'image' (keys: {keys:.{_REASON}})")
            item = item["image"]
        elif isinstance(item, (tuple, list)):
            item = item[0] if item else None
        if isinstance(item, Image.Image):
            try:
                return flatten(upright(item), 1 if is_grey(item.mode) else 3)
            except ImageError as error:
                raise DataError(f"{name}: {error}") from error
        if not is_array(item):
            raise DataError(f"{name} is a {type(item).__name__}: return a PIL image, an array or a tensor")
        pixels: npt.NDArray[np.uint8] = _to_nchw(_as_numpy(item, name)[None], name)[0].transpose(1, 2, 0)
        return pixels


def _check_dense(data: npt.NDArray[Any] | Tensor, name: str) -> None:
    """Raise for a tensor that is not a block of values."""
    if isinstance(data, torch.Tensor) and (data.layout != torch.strided or data.is_meta or data.is_quantized):
        raise DataError(f"{name}: the tensor is sparse, quantized or on device meta: give a dense one")


def _as_numpy(data: npt.NDArray[Any] | Tensor, name: str) -> npt.NDArray[Any]:
    if not isinstance(data, torch.Tensor):
        return np.asarray(data)
    _check_dense(data, name)
    return (data.float() if data.dtype == torch.bfloat16 else data).detach().cpu().numpy()


def _to_nchw(images: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    """Return a copy uint8 ``(N, C, H, W)`` of ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``.

    Raises:
        DataError: They have another shape, type or range.
    """
    if images.ndim == 3:  # noqa: PLR2004 - NHW
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):  # noqa: PLR2004
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):  # noqa: PLR2004 - NCHW
        raise DataError(
            f"{name}: the shape is {images.shape[1:]}: use (H, W), (H, W, C) or (C, H, W), C being 1 or 3"
        )
    if images.dtype == np.uint8:
        return np.array(images, order="C")
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * 255
    if images.dtype.kind != "f":
        raise DataError(f"{name}: the type is {images.dtype}: use uint8 from 0 to 255, or float from 0 to 1")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN compares as False
        raise DataError(
            f"{name}: values are from {low:g} to {high:g}: use float from 0 to 1, or uint8 from 0 to 255"
        )
    rounded: npt.NDArray[np.uint8] = np.rint(images * 255).astype(np.uint8)
    return rounded
