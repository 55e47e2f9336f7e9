"""Training images by index: a block on the device, or images that are read or computed as they are needed.

A stage knows its images by :class:`ImageSource` alone. A tensor ``(N, C, H, W)`` is one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from infogan_tool.train.data.imageset import ImageSet
from infogan_tool.train.data.stream import StreamedImages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

_CHUNK: Final = 256
_DIGEST_IMAGES: Final = 256
"""Images that the digest of a source that is not one block depends on."""


class ImageSource(Protocol):
    """Images that are indexed by a tensor of indices."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, C, H, W)``; C is 1 or 3, H equals W."""

    @property
    def device(self) -> torch.device:
        """Where the images of :meth:`__getitem__` are."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: Any, /) -> Tensor:  # noqa: ANN401 - what a tensor's method takes
        """Return the images of indices ``(n,)`` int64: ``(n, C, H, W)`` uint8 on the device."""

    def to(self, device: torch.device, /) -> ImageSource:
        """Return the same images on another device."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingData:
    """The images of a training."""

    images: ImageSource
    """The images; on the CPU until the training starts."""
    name: str
    """Name of the data set, for metadata and reports; never a path."""
    block: ImageSet | None
    """The images in memory, with labels if there are some; of computed ones some; None where they are read as
    they are needed. For the export and for reports."""

    @property
    def size(self) -> int:
        """Height and width of every image."""
        return self.images.shape[-1]

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (red, green, blue)."""
        return self.images.shape[1]

    def sample(self, limit: int) -> ImageSet:
        """Return at most ``limit`` images in memory; of streamed ones, those at equal distances."""
        if self.block is not None:
            return self.block.sample(limit)
        index = _spread(len(self.images), limit)
        images = self.images.to(torch.device("cpu"))
        read_ahead(images, (part.tolist() for part in torch.split(index, _CHUNK)))
        block = torch.cat([images[part] for part in torch.split(index, _CHUNK)])
        return ImageSet(images=block, labels=None, label_names=None, name=self.name)


def data_digest(images: ImageSource) -> str:
    """Return a digest of shape and 256 images at equal distances; of a block with another, of every pixel.

    The two are joined by ``+``; see :func:`same_images`.
    """
    parts = [images[_spread(len(images), _DIGEST_IMAGES)]]
    if isinstance(images, torch.Tensor):
        parts.append(images)
    shape = hashlib.sha256(repr(tuple(images.shape)).encode())
    digests = [shape.copy() for _ in parts]
    for digest, part in zip(digests, parts, strict=True):
        digest.update(part.cpu().contiguous().numpy().data)
    return "+".join(digest.hexdigest() for digest in digests)


def same_images(digest: str, other: str) -> bool:
    """Return whether two digests are of the same images, whether or not these were read as one block."""
    first, second = digest.split("+"), other.split("+")
    return first == second if len(first) == len(second) else not set(first).isdisjoint(second)


def _spread(count: int, limit: int) -> Tensor:
    """Return at most ``limit`` indices below ``count`` at equal distances."""
    return torch.linspace(0, count - 1, min(limit, count), dtype=torch.float64).long()


def read_ahead(images: ImageSource, batches: Iterable[list[int]]) -> None:
    """Let images that are read as they are needed be read in advance, in this order; else do nothing."""
    if isinstance(images, StreamedImages):
        images.read_ahead(batches)


def close(images: ImageSource) -> None:
    """End the processes that read images as they are needed, if there are any."""
    if isinstance(images, StreamedImages):
        images.close()
