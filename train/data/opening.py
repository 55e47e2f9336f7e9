"""From what a training is given as its data to images: in memory, or read as they are needed."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool.runtime.errors import DataError, UsageError
from infogan_tool.train.config.schema import MAX_SIZE, MIN_SIZE
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.folder import FolderImages
from infogan_tool.train.data.given import DatasetReader, array_block, is_array
from infogan_tool.train.data.image_files import FileReader
from infogan_tool.train.data.imageset import ImageSet, check_fits, physical_memory
from infogan_tool.train.data.load import GIVEN_IN_PYTHON, open_source
from infogan_tool.train.data.source import TrainingData, data_digest
from infogan_tool.train.data.stream import BlockReader, StreamedImages

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import DataConfig
    from infogan_tool.train.data.stream import ImageReader

_log: Final = logging.getLogger(__name__)

_SHARE: Final = 0.5
"""Share of a memory that images may take."""
_READ_AT_ONCE: Final = 256


def source_name(data: object) -> str | None:
    """Return what a run's config records as the source of ``data``; None where the config's own is used."""
    if data is None:
        return None
    if isinstance(data, str):
        return data
    if isinstance(data, Path):
        return str(data) if data.is_absolute() else os.path.join(".", data)  # noqa: PTH118 - Path drops "."
    return GIVEN_IN_PYTHON


def open_data(data: Any, config: DataConfig, *, device: torch.device, stream: bool | None) -> TrainingData:  # noqa: ANN401
    """Return the images of a training.

    Images that take at most half of the machine's memory are read once. They stay on a GPU if they take at
    most half of its free memory, and in the machine's memory otherwise. Larger ones are read as they are
    needed.

    Args:
        data: An array, tensor, data set or :class:`ImageSet`; anything else: the config's source is opened.
        config: Source, size and channels.
        device: Where the training computes.
        stream: Whether images are read as they are needed; None: where they do not fit.

    Raises:
        DataError: The images cannot be used.
        UsageError: ``data`` is of another type.
    """
    size, channels = config.size, config.channels
    if data is None or isinstance(data, (str, Path)):
        opened = open_source(config.source, size=size, channels=channels)
        _check_size(opened.size, opened.name)
        if isinstance(opened, FolderImages):
            files = FileReader(opened.paths, size=opened.size, channels=opened.channels)
            if _is_read_as_needed(files, stream):
                return _streamed(files, opened.name)
            opened = opened.load()
        return _from_set(opened, device, stream)
    if isinstance(data, ImageSet):
        _check_size(size or data.size, data.name)
        images = (
            convert_images(data.images, size=size, channels=channels, name=data.name)
            if isinstance(data.images, torch.Tensor)
            else data.images.converted(size=size, channels=channels)
        )
        return _from_set(replace(data, images=images), device, stream)
    _refuse_other_types(data)
    if is_array(data) and not stream and math.prod(data.shape) <= _SHARE * physical_memory():
        block = array_block(data, size=size, channels=channels)
        _check_size(block.size, block.name)
        return _from_block(block, device, stream)
    dataset = DatasetReader(data, size=size, channels=channels)
    _check_size(dataset.size, dataset.name)
    if _is_read_as_needed(dataset, stream):
        return _streamed(dataset, dataset.name)
    block = ImageSet(images=_read_all(dataset), labels=None, label_names=None, name=dataset.name)
    return _from_block(block, device, stream)


def source_digest(source: str, *, size: int, channels: int) -> str:
    """Return the digest of the images of a source; of a folder of image files, only 256 of them are read.

    Raises:
        DataError: They do not exist or cannot be used.
    """
    opened = open_source(source, size=size, channels=channels)
    if isinstance(opened, FolderImages):
        return data_digest(StreamedImages(FileReader(opened.paths, size=size, channels=channels)))
    return data_digest(opened.images)


def _refuse_other_types(data: object) -> None:
    if isinstance(data, (list, tuple)):
        raise UsageError("data is a list: give an array (numpy.stack), a tensor or a data set")
    if not hasattr(data, "__getitem__") or isinstance(data, (bytes, dict)):
        raise UsageError(
            f"data is a {type(data).__name__}: give an array, a tensor, a data set with __len__ and "
            "__getitem__, the name of a built-in data set, or a folder"
        )
    if is_array(data) and not getattr(data, "ndim", 0):
        raise DataError("there is no image in the array")


def _check_size(size: int, name: str) -> None:
    """Refuse images that are too small or too large to train on."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise DataError(
            f"{name}: the images are {size} x {size}, training takes {MIN_SIZE} to {MAX_SIZE} pixels a side: "
            "--size (data.size) resizes them"
        )


def _num_bytes(reader: ImageReader) -> int:
    return len(reader) * reader.channels * reader.size**2


def _is_read_as_needed(reader: ImageReader, stream: bool | None) -> bool:
    return _num_bytes(reader) > _SHARE * physical_memory() if stream is None else stream


def _read_all(reader: ImageReader) -> Tensor:
    """Read all images into one block, in several processes."""
    check_fits(_num_bytes(reader), "data")
    images = StreamedImages(reader)
    block = torch.empty(images.shape, dtype=torch.uint8)
    batches = torch.split(torch.arange(len(reader)), _READ_AT_ONCE)
    images.read_ahead(batch.tolist() for batch in batches)
    try:
        for batch in batches:
            block[batch] = images[batch]
    finally:
        images.close()  # left to the garbage collector, each process is waited for, for five seconds
    return block


def _from_set(opened: ImageSet, device: torch.device, stream: bool | None) -> TrainingData:
    if isinstance(opened.images, torch.Tensor):
        return _from_block(opened, device, stream)
    _log.info("images: %s, %s, computed as they are needed", opened.name, f"{len(opened):,}")
    return TrainingData(images=opened.images, name=opened.name, block=opened.sample())


def _from_block(block: ImageSet, device: torch.device, stream: bool | None) -> TrainingData:
    images = block.images[:]
    num_bytes = images.nbytes
    if stream is None and device.type == "cuda":
        stream = num_bytes > _SHARE * torch.cuda.mem_get_info(device)[0]
    what = f"images: {block.name}, {len(block):,} of {block.size} x {block.size}, {num_bytes / 1e6:,.1f} MB"
    if not stream:
        _log.debug("%s, kept on %s", what, device)
        return TrainingData(images=images, name=block.name, block=block)
    _log.info("%s, kept in memory and sent to %s batch by batch", what, device)
    return TrainingData(images=StreamedImages(BlockReader(images)), name=block.name, block=block)


def _streamed(reader: ImageReader, name: str) -> TrainingData:
    _log.info(
        "images: %s, %s of %d x %d, %s MB, read as they are needed",
        name,
        f"{len(reader):,}",
        reader.size,
        reader.size,
        f"{_num_bytes(reader) / 1e6:,.1f}",
    )
    return TrainingData(images=StreamedImages(reader), name=name, block=None)
