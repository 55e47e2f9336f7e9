"""Images that are read as they are needed, by a DataLoader in processes of its own.

Nothing but speed depends on what is read ahead: an image that was not is read at once.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import warnings
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from infogan_tool.runtime.errors import DataError, InfoganError
from infogan_tool.runtime.inference.device import default_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

_MAX_WORKERS: Final = 8
_AHEAD: Final = 4
"""Batches that each process reads ahead."""
_REASON: Final = 200
_CPU: Final = torch.device("cpu")


class ImageReader(Protocol):
    """Images of one size by number; sent to the reading processes."""

    @property
    def size(self) -> int:
        """Height and width."""

    @property
    def channels(self) -> int:
        """1 or 3."""

    def __len__(self) -> int:
        """Return the number of images."""

    def read(self, index: int) -> Tensor:
        """Return image number ``index``: ``(C, H, W)`` uint8.

        Raises:
            DataError: It cannot be read or used; names it.
        """


class BlockReader:
    """Images of a block in memory that does not fit on the device."""

    def __init__(self, block: Tensor) -> None:
        self.block = block
        self.channels, self.size = block.shape[1:3]

    def __len__(self) -> int:
        return len(self.block)

    def read(self, index: int) -> Tensor:
        """Return an image of the block."""
        return self.block[index]


class StreamedImages:
    """An :class:`~infogan_tool.train.data.source.ImageSource` over a reader.

    Args:
        reader: Reads the images.
        device: Where images go; through pinned memory if it is a GPU.
    """

    def __init__(self, reader: ImageReader, device: torch.device = _CPU) -> None:
        self.shape = (len(reader), reader.channels, reader.size, reader.size)
        self.device = device
        self._reader = reader
        self._ahead: Iterator[_Batch] = iter(())
        self._next: _Batch | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Return the images of indices ``(n,)``: ``(n, C, H, W)`` uint8 on the device.

        Raises:
            DataError: An image cannot be read.
        """
        wanted = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        indices = list(wanted)
        if self._next is None:
            self._next = self._read_next()
        if self._next is not None and self._next.indices == indices:
            batch, self._next = self._next, None
        else:
            with torch.random.fork_rng(devices=[]):  # a data set may draw random numbers
                batch = _read_batch(self._reader, indices)
        if batch.error:
            raise DataError(batch.error)
        return batch.images.to(self.device, non_blocking=True)

    def to(self, device: torch.device) -> StreamedImages:
        """Return the same images on another device."""
        return StreamedImages(self._reader, device)

    def read_ahead(self, batches: Iterable[list[int]]) -> None:
        """Read the images of these batches in advance, instead of those of an earlier call."""
        self._next = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of what is handled below
                self._ahead = self._load(batches, _count_workers(self._reader))
        except (pickle.PicklingError, AttributeError, TypeError):  # the reader cannot be sent to a process
            self._ahead = self._load(batches, 0)

    def _load(self, batches: Iterable[list[int]], workers: int) -> Iterator[_Batch]:
        """Return the images of batches, read by ``workers`` processes; by none: in this one."""
        loader = DataLoader(
            _Items(self._reader),
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_first,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=_AHEAD if workers else None,
            worker_init_fn=_ignore_signals,
            generator=torch.Generator().manual_seed(0),  # the global one belongs to the training
        )
        return iter(loader)

    def close(self) -> None:
        """End the reading processes. Images can still be read, in this one."""
        self._next, self._ahead = None, iter(())

    def _read_next(self) -> _Batch | None:
        try:
            with torch.random.fork_rng(devices=[]):
                return next(self._ahead, None)
        except RuntimeError as error:  # a process was killed, for example because memory ran out
            raise DataError(f"reading images failed: {' '.join(str(error).split()):.{_REASON}}") from error


def _count_workers(reader: ImageReader) -> int:
    """Return the number of reading processes; 0 reads in this one."""
    if isinstance(reader, BlockReader) or multiprocessing.current_process().daemon:
        return 0  # copying needs none; a daemon may not have children
    return min(default_threads(), _MAX_WORKERS)


def _ignore_signals(_: int) -> None:
    """Let Ctrl-C stop the training only, and SIGTERM this process."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Batch:
    """The images of some indices, or why one of them cannot be read."""

    def __init__(self, indices: list[int], images: Tensor, error: str = "") -> None:
        self.indices, self.images, self.error = indices, images, error

    def pin_memory(self) -> _Batch:
        """Return the batch in pinned memory; called by the DataLoader."""
        return _Batch(self.indices, self.images.pin_memory(), self.error)


class _Items(Dataset[Any]):
    def __init__(self, reader: ImageReader) -> None:
        self._reader = reader

    def __getitems__(self, indices: list[int]) -> list[_Batch]:
        return [_read_batch(self._reader, indices)]


def _read_batch(reader: ImageReader, indices: list[int]) -> _Batch:
    # An error is passed on as text: a DataLoader would put a traceback into its message.
    try:
        images = [reader.read(index) for index in indices]
        return _Batch(indices, torch.stack(images))
    except InfoganError as error:
        return _Batch(indices, torch.empty(0, dtype=torch.uint8), str(error))


def _first(batches: list[_Batch]) -> _Batch:
    return batches[0]
