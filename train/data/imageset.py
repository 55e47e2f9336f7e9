"""A data set: images, with labels and factors if there are some."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.runtime.errors import DataError

if TYPE_CHECKING:
    from infogan_tool.train.data.computed import ComputedImages
    from infogan_tool.train.data.factors import Factors

MAX_SIZE: Final = 4096
"""Greatest height and width of an image in a data set."""

_SAMPLE: Final = 20_000
"""Images of a data set that has so many that it is computed."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSet:
    """Images of one size, with labels if the source has some.

    Raises:
        DataError: Images, labels and names do not match.
    """

    images: torch.Tensor | ComputedImages
    """Images, uint8 ``(N, C, H, W)`` from 0 to 255, contiguous, on the CPU; C is 1 or 3, H equals W, N is
    at least 1. Both kinds are indexed alike."""
    labels: torch.Tensor | None
    """Class of each image, int64 ``(N,)`` from 0. For evaluation only; training does not use it."""
    label_names: tuple[str, ...] | None
    """Name of each class, by label; ``None`` if the source has no names."""
    name: str
    """The built-in name or the name of the folder, without its path; for metadata and reports. A folder that
    is named like a built-in data set gets an ending: ``rooms-folder``."""
    factors: Factors | None = None
    """Factors that the images were made from, if they are known. For evaluation only."""

    def __post_init__(self) -> None:
        """Validate."""
        images, labels = self.images, self.labels
        if isinstance(images, torch.Tensor) and not (
            images.dtype == torch.uint8 and images.ndim == 4 and images.is_contiguous()  # noqa: PLR2004 - NCHW
        ):
            raise DataError(f"{self.name}: images must be one contiguous uint8 block (N, C, H, W)")
        count, channels, height, width = images.shape
        if count == 0:
            raise DataError(f"{self.name}: there is no image")
        if channels not in (1, 3) or height != width:
            raise DataError(
                f"{self.name}: images must be square with 1 or 3 channels, not "
                f"{height} x {width} x {channels}"
            )
        if labels is None:
            return
        if labels.dtype != torch.int64 or labels.shape != (count,):
            raise DataError(f"{self.name}: {count:,} images need as many int64 labels")
        names = self.label_names
        if int(labels.min()) < 0 or (names is not None and int(labels.max()) >= len(names)):
            raise DataError(f"{self.name}: a label has no name")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def sample(self, limit: int | None = None) -> ImageSet:
        """Return the images in one block: at most ``limit``, of a computed data set at most 20,000.

        Of more, some at random, always the same.
        """
        if not isinstance(self.images, torch.Tensor):
            limit = _SAMPLE if limit is None else min(limit, _SAMPLE)
        elif limit is None or len(self) <= limit:
            return self
        return self.subset(choose(len(self), limit))

    def subset(self, index: torch.Tensor | slice) -> ImageSet:
        """Return the images of an index ``(n,)`` or a slice, with labels and factors, in one block."""
        return replace(
            self,
            images=self.images[index],
            labels=None if self.labels is None else self.labels[index],
            factors=None if self.factors is None else self.factors.subset(index),
        )

    @property
    def size(self) -> int:
        """Height and width of every image."""
        return int(self.images.shape[-1])

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (red, green, blue)."""
        return int(self.images.shape[1])


def choose(count: int, limit: int | None) -> torch.Tensor | slice:
    """Return an index of ``limit`` of ``count`` images, at random, always the same.

    If ``limit`` is None, or not less than ``count``: of all, in their order.
    """
    if limit is None or count <= limit:
        return slice(None)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:limit]


def check_fits(num_bytes: int, name: str) -> None:
    """Refuse a data set that does not fit into this machine's memory, before it is allocated.

    Args:
        num_bytes: Bytes of all images.
        name: Name of the data set, for the message.

    Raises:
        DataError: It is larger than nine tenths of the physical memory.
    """
    memory = physical_memory()
    if num_bytes > 0.9 * memory:
        raise DataError(
            f"{name}: its images need {num_bytes / 1e9:,.1f} GB, this machine has {memory / 1e9:,.1f} GB "
            "of memory (--size makes images smaller)"
        )


def physical_memory() -> float:
    """Return the bytes of memory of this machine, or of its container; infinity if unknown."""
    limit = math.inf
    try:
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        limit = min(limit, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (AttributeError, ValueError, OSError):  # not on this system: the allocation decides
        pass
    return limit
