"""The IDX format of MNIST: a magic number, the sizes, then the bytes; plain or gzipped.

    00 00 08 03 | count | height | width | count * height * width bytes       images
    00 00 08 01 | count |                  count bytes                        labels

All sizes are big-endian 32-bit. A header is checked against the size of the file before memory is allocated.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC: Final = {1: bytes((0, 0, 8, 1)), 3: bytes((0, 0, 8, 3))}
"""First bytes of a file of labels (1 dimension) and of images (3)."""
_GZIP_MAGIC: Final = b"\x1f\x8b"

_CONTENT: Final = {1: "labels", 3: "images"}
_MAX_SIZE: Final = 4096
_MAX_EXPANSION: Final = 200
"""Greatest compression ratio of large content; beyond it is a decompression bomb. Images of one
shape on black reach about 110."""
_SMALL: Final = 64 * 2**20
"""Content up to this many bytes may have any compression ratio (gzip reaches 1032)."""
_STEP: Final = 2**20


@contextmanager
def open_idx(path: str | Path, ndim: int) -> Iterator[IdxStream]:
    """Open an IDX file and read its header; errors inside the block name the file.

    Args:
        path: A regular file, plain or gzipped; its first bytes decide which.
        ndim: 3 for images, 1 for labels.

    Raises:
        DataError: It cannot be read, is not IDX, is truncated, too long or damaged.
    """
    shown = printable(path)
    try:
        with open_regular(path) as file:
            stored = os.fstat(file.fileno()).st_size
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield IdxStream(cast("BinaryIO", unpacked), shown, ndim, stored=stored, packed=True)
            else:
                yield IdxStream(file, shown, ndim, stored=stored, packed=False)
    except DataError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{shown}: the gzip file is truncated or damaged ({error})") from error
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a folder, a pipe or a device
        raise DataError(printable(error)) from error


class IdxStream:
    """A sequential reader of an IDX file, made by :func:`open_idx`."""

    def __init__(self, stream: BinaryIO, shown: str, ndim: int, *, stored: int, packed: bool) -> None:
        self.shown = shown
        """The file's name, for messages."""
        self.packed = packed
        """Whether it is gzipped."""
        self.offset = 4 + 4 * ndim
        """Position of the content."""
        self._stream = stream
        self._stored = stored
        self._hash = hashlib.md5(usedforsecurity=False)
        self._done = 0
        self.shape = self._read_header(ndim)
        """The sizes in the header, the number of items first; see :meth:`check_size`."""

    def _read_header(self, ndim: int) -> tuple[int, ...]:
        header = self._stream.read(self.offset)
        if not header:
            raise DataError(f"{self.shown} is empty")
        magic = header[:4]
        if magic != _MAGIC[ndim]:
            other = next((f"it holds {_CONTENT[n]}; " for n, one in _MAGIC.items() if magic == one), "")
            raise DataError(
                f"{self.shown}: {other}wrong magic number {magic.hex()}, "
                f"{_CONTENT[ndim]} in IDX format begin with {_MAGIC[ndim].hex()}"
            )
        if len(header) < self.offset:
            raise DataError(f"{self.shown} is truncated: it ends within its header")
        self._hash.update(header)
        return tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, self.offset, 4))

    def check_size(self) -> int:
        """Return the number of bytes of the content, after checking that the file can hold them.

        Raises:
            DataError: It cannot, or the header declares no items or too large images.
        """
        sizes = " x ".join(f"{length:,}" for length in self.shape)
        if 0 in self.shape:
            raise DataError(f"{self.shown} holds nothing: its header has {sizes}")
        if max(self.shape[1:], default=1) > _MAX_SIZE:
            raise DataError(f"{self.shown}: images of {sizes} are larger than {_MAX_SIZE} pixels")
        needed, size = math.prod(self.shape), self._stored - self.offset
        if not self.packed and needed != size:
            state = "truncated" if needed > size else "too long"
            raise DataError(f"{self.shown} is {state}: its header has {sizes} bytes, the file has {size:,}")
        if self.packed and needed > max(_SMALL, self._stored * _MAX_EXPANSION):
            raise DataError(
                f"{self.shown}: its header has {sizes} bytes, which {self._stored:,} compressed bytes "
                "cannot hold"
            )
        return needed

    def fill(self, view: memoryview) -> None:
        """Read the next ``len(view)`` bytes of the content into ``view``.

        Raises:
            DataError: The file ends early.
        """
        done = 0
        while done < len(view):
            got = self._stream.readinto(view[done : done + _STEP])  # type: ignore[attr-defined]
            if not got:
                raise DataError(
                    f"{self.shown} is truncated: {self._done:,} of {math.prod(self.shape):,} bytes"
                )
            self._hash.update(view[done : done + got])
            done += got
            self._done += got

    def finish(self) -> None:
        """Read to the end, which also makes gzip check its checksum.

        Raises:
            DataError: There are more bytes than the header declares.
        """
        if self._stream.read(1):
            raise DataError(
                f"{self.shown} is too long: there are more than the {self._done:,} bytes of its header"
            )

    def md5(self) -> str:
        """Return the MD5 of the bytes read so far, with the header, in hexadecimal."""
        return self._hash.hexdigest()
