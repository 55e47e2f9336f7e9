"""A chunk: consecutive images of the inputs, which are read and encoded together.

How inputs are cut into chunks depends on the inputs alone, so a resumed run has the same chunks as one that
was not stopped, and writes the same bytes.
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

CHUNK_IMAGES: Final = BATCH_ROWS
"""Maximum number of images in a chunk."""
CHUNK_BYTES: Final = 1 << 24
"""Maximum bytes in a chunk, of file contents or of the network's input; a chunk has at least one image."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An input that is known to be unreadable before decoding."""

    name: str
    """Name of the input as the user gave it, unescaped."""
    message: str
    """Error message: one printable line that names the input."""


class Chunk(Protocol):
    """Interface of a chunk of images; chunks can be pickled."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the images in the records, in order; at least one."""

    @property
    def fingerprint(self) -> bytes:
        """Bytes that must be the same in a resumed run, as the names must."""

    def sources(self) -> Iterable[str | bytes | Failed]:
        """Yield the source of each image."""

    def ready(self, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
        """Return uint8 ``(N, H, W, C)`` if the images need no decoding and no preprocessing, else None."""


@dataclass(frozen=True, slots=True)
class FileChunk:
    """Image files, and inputs that are known to be unreadable."""

    names: Sequence[str]
    failed: dict[int, Failed]
    """The unreadable ones, by their index in the chunk."""
    fingerprint: bytes = b""

    def sources(self) -> Iterable[str | Failed]:
        """Yield each path or failure."""
        return (self.failed.get(index, name) for index, name in enumerate(self.names))

    def ready(self, spec: ImageSpec, *, raw: bool) -> None:
        """Return None: files must be decoded."""


@dataclass(frozen=True, slots=True)
class BlobChunk:
    """Image files in memory."""

    names: Sequence[str]
    blobs: Sequence[bytes | Failed]
    fingerprint: bytes = b""

    def sources(self) -> Iterable[bytes | Failed]:
        """Yield the content of each file."""
        return self.blobs

    def ready(self, spec: ImageSpec, *, raw: bool) -> None:
        """Return None: contents must be decoded."""
