"""A chunk: some images that follow one another among the inputs, read and encoded together.

Chunks are cut by the inputs alone, never by time or machine, so a run that is resumed at the end of a
chunk sees the same chunks as one that was never stopped, and writes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from infogan_tool.runtime.inference.shards import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

__all__ = ["CHUNK_BYTES", "CHUNK_IMAGES", "BlobChunk", "Chunk", "Failed", "FileChunk"]

CHUNK_IMAGES: Final = BATCH_ROWS
"""Most images in a chunk."""
CHUNK_BYTES: Final = 1 << 24
"""Most bytes in a chunk, of files' content or of what the network is given; at least one image."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An input that is known to be unreadable before it is decoded."""

    name: str
    """What the user calls the input, unescaped."""
    message: str
    """One line that names the input and says why; no more than printable text."""


class Chunk(Protocol):
    """What the pipeline asks of a chunk; it can be pickled."""

    @property
    def names(self) -> Sequence[str]:
        """How the records call the images, in order; at least one."""

    @property
    def fingerprint(self) -> bytes:
        """What a resumed run must find the same again, beside the names."""

    def sources(self) -> Iterable[str | bytes | Failed]:
        """Yield what to decode for each name."""

    def ready(self, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
        """Return uint8 ``(N, H, W, C)`` if the images are what the encoder takes already, else None."""


@dataclass(frozen=True, slots=True)
class FileChunk:
    """Image files, and inputs that cannot be read at all."""

    names: Sequence[str]
    failed: dict[int, Failed]
    """The failed among them, by their place."""
    fingerprint: bytes = b""

    def sources(self) -> Iterable[str | Failed]:
        """Yield each path, or why there is no image."""
        return (self.failed.get(index, name) for index, name in enumerate(self.names))

    def ready(self, spec: ImageSpec, *, raw: bool) -> None:
        """Return None: files must be decoded."""


@dataclass(frozen=True, slots=True)
class BlobChunk:
    """Contents of image files that are held in memory."""

    names: Sequence[str]
    blobs: Sequence[bytes | Failed]
    fingerprint: bytes = b""

    def sources(self) -> Iterable[bytes | Failed]:
        """Yield each content."""
        return self.blobs

    def ready(self, spec: ImageSpec, *, raw: bool) -> None:
        """Return None: contents must be decoded."""
