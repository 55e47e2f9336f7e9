"""The IDX format of MNIST: a magic number, the sizes, then the bytes; plain or gzipped.

    00 00 08 03 | count | height | width | count * height * width bytes       pictures
    00 00 08 01 | count |                  count bytes                        labels

All sizes are big-endian 32-bit. Nothing is allocated on a header's word alone: it must agree with the size of
the file first.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import torch

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.files import open_regular, printable
from infogan_tool.train.data.imageset import MAX_SIZE, check_fits

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find_part", "holds_idx", "read_images", "read_labels"]

_MAGIC: Final = {1: bytes((0, 0, 8, 1)), 3: bytes((0, 0, 8, 3))}
_CONTENT: Final = {1: "labels", 3: "pictures"}
_GZIP_MAGIC: Final = b"\x1f\x8b"

_MAX_EXPANSION: Final = 200
"""Large content that gzip packs better than this is nearly constant: no pictures, but a bomb. Black drawings
of one shape at a time reach about 110."""
_SMALL: Final = 64 * 2**20
"""Content up to this many bytes may be packed as well as gzip can (at most 1032 to 1)."""

_PARTS: Final = {
    ("train", "images"): "train-images{}idx3-ubyte",
    ("train", "labels"): "train-labels{}idx1-ubyte",
    ("test", "images"): "t10k-images{}idx3-ubyte",
    ("test", "labels"): "t10k-labels{}idx1-ubyte",
}


def find_part(folder: Path, split: str, part: str) -> Path | None:
    """Return the IDX file of a folder that holds ``part`` of ``split``, or ``None``.

    ``train-images-idx3-ubyte`` and ``train-images.idx3-ubyte`` are understood, each plain or with ``.gz``. A
    plain file goes before its own ``.gz``, which torchvision leaves beside it.

    Args:
        folder: Where to look.
        split: ``"train"`` or ``"test"`` (files named t10k).
        part: ``"images"`` or ``"labels"``.

    Raises:
        DataError: Both spellings are there.
        OSError: The folder cannot be read.
    """
    found = []
    for mark in ("-", "."):
        name = _PARTS[split, part].format(mark)
        paths = [folder / name, folder / f"{name}.gz"]
        found += [path for path in paths if path.exists() or path.is_symlink()][:1]
    if len(found) > 1:
        raise DataError(f"{printable(folder)} holds both {found[0].name} and {found[1].name}: keep one")
    return found[0] if found else None


def holds_idx(folder: Path) -> bool:
    """Say whether ``folder`` has pictures in IDX format, of either split.

    Raises:
        DataError: A file is there in two spellings.
        OSError: The folder cannot be read.
    """
    return any(find_part(folder, split, "images") is not None for split in ("train", "test"))


def read_images(path: Path, *, md5: str | None = None) -> torch.Tensor:
    """Read pictures.

    Args:
        path: An IDX file of three dimensions, plain or gzipped.
        md5: MD5 that the uncompressed content must have, in hexadecimal.

    Returns:
        uint8 ``(N, 1, H, W)``; no more than these bytes and a small buffer are held while reading.

    Raises:
        DataError: It cannot be read, is not IDX, is truncated or has another checksum.
    """
    return _read(path, 3, md5).unsqueeze(1)


def read_labels(path: Path, count: int, *, md5: str | None = None) -> torch.Tensor:
    """Read the labels of ``count`` pictures: int64 ``(count,)``, each from 0 to 255.

    Args:
        path: An IDX file of one dimension, plain or gzipped.
        count: How many labels there must be.
        md5: MD5 that the uncompressed content must have, in hexadecimal.

    Raises:
        DataError: As :func:`read_images`, or there are more or fewer labels than pictures.
    """
    return _read(path, 1, md5, count=count).long()


def _read(path: Path, ndim: int, md5: str | None, count: int | None = None) -> torch.Tensor:
    shown = printable(path)
    try:
        with open_regular(path) as file:
            stored = os.fstat(file.fileno()).st_size
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not packed:
                return _Reader(file, shown, md5).read(ndim, count, stored=stored, packed=False)
            with gzip.GzipFile(fileobj=file) as unpacked:
                stream = cast("BinaryIO", unpacked)
                return _Reader(stream, shown, md5).read(ndim, count, stored=stored, packed=True)
    except DataError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{shown}: the gzip file is truncated or damaged ({error})") from error
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a folder, a pipe or a device
        raise DataError(printable(error)) from error


class _Reader:
    """One pass over one IDX file."""

    def __init__(self, stream: BinaryIO, shown: str, md5: str | None) -> None:
        self._stream = stream
        self._shown = shown
        self._md5 = md5
        self._hash = hashlib.md5(usedforsecurity=False)

    def read(self, ndim: int, count: int | None, *, stored: int, packed: bool) -> torch.Tensor:
        shape = self._read_header(ndim)
        if count is not None and shape[0] != count:
            raise DataError(f"{self._shown} has {shape[0]:,} labels for {count:,} pictures")
        self._check_claim(shape, 4 + 4 * ndim, stored, packed=packed)
        content = torch.empty(shape, dtype=torch.uint8)
        self._fill(content)
        if self._md5 is not None and self._hash.hexdigest() != self._md5:
            raise DataError(f"{self._shown} is damaged: its MD5 is {self._hash.hexdigest()}, not {self._md5}")
        return content

    def _read_header(self, ndim: int) -> tuple[int, ...]:
        header = self._stream.read(4 + 4 * ndim)
        if not header:
            raise DataError(f"{self._shown} is empty")
        magic = header[:4]
        if magic != _MAGIC[ndim]:
            raise DataError(
                f"{self._shown}: wrong magic number {magic.hex()}, {_CONTENT[ndim]} in IDX format begin with "
                f"{_MAGIC[ndim].hex()}"
            )
        if len(header) < 4 + 4 * ndim:
            raise DataError(f"{self._shown} is truncated: it ends within its header")
        self._hash.update(header)
        return tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, 4 + 4 * ndim, 4))

    def _check_claim(self, shape: tuple[int, ...], header: int, stored: int, *, packed: bool) -> None:
        claim = " x ".join(f"{length:,}" for length in shape)
        if 0 in shape:
            raise DataError(f"{self._shown} holds nothing: its header says {claim}")
        if max(shape[1:], default=1) > MAX_SIZE:
            raise DataError(f"{self._shown}: pictures of {claim} are larger than {MAX_SIZE} pixels")
        needed = math.prod(shape)
        if not packed and needed != stored - header:
            state = "truncated" if needed > stored - header else "too long"
            raise DataError(
                f"{self._shown} is {state}: its header says {claim} bytes, {stored - header:,} are there"
            )
        if packed and needed > max(_SMALL, stored * _MAX_EXPANSION):
            raise DataError(
                f"{self._shown}: its header says {claim} bytes, which {stored:,} compressed bytes cannot hold"
            )
        check_fits(needed, self._shown)

    def _fill(self, content: torch.Tensor) -> None:
        view = content.view(-1).numpy().data
        done = 0
        while done < len(view):
            got = self._stream.readinto(view[done : done + 2**20])  # type: ignore[attr-defined]
            if not got:
                raise DataError(f"{self._shown} is truncated: {done:,} of {len(view):,} bytes are there")
            self._hash.update(view[done : done + got])
            done += got
        # Reading on to the end also has gzip check its own checksum.
        if self._stream.read(1):
            raise DataError(f"{self._shown} is too long: more follows the {len(view):,} bytes it announces")
