"""A fast reader of plain PNG files: small, 8-bit grey, without other chunks, as data sets have them.

For images as small as MNIST's, most of the time of Pillow's reader is overhead. This one parses the chunks
itself and lets Pillow's decoder unfilter the rows of many images at once. Any other file, and every damaged
one, is left to Pillow's reader.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.images.formats import PNG_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

PLAIN_BYTES: Final = 1 << 14
"""Greatest size of a file; the overhead matters less for larger ones."""
_OVERHEAD: Final = 1 << 10
"""Most bytes that an encoder adds to incompressible pixels; a longer file is not plain."""
_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PLAIN: Final = b"\x08\x00\x00\x00\x00"
"""End of the IHDR chunk: 8 bits, grey, deflate, adaptive filters, not interlaced."""
_FILTERS: Final = 5
_OVERHEAD_OF_ONE_CHUNK: Final = 57
"""Bytes of a file with one IDAT chunk besides its data: signature, IHDR, length, type, checksum, IEND."""
_number = struct.Struct(">I").unpack_from


def read_plain_png(content: bytes, size: int) -> npt.NDArray[np.uint8] | None:
    """Return the pixels ``(size, size)`` of a plain PNG file; None if it is not plain.

    Args:
        content: The whole file.
        size: Height and width; other images are not read.
    """
    pixels, indices = read_plain_pngs([content], size)
    return pixels[0] if indices else None


def read_plain_pngs(
    contents: Iterable[bytes | None], size: int
) -> tuple[npt.NDArray[np.uint8], Sequence[int]]:
    """Read the plain PNG files among many files.

    Args:
        contents: The content of each file; None is skipped.
        size: Height and width; other images are not read.

    Returns:
        The pixels, ``(M, size, size)``, and the indices of these M files in ``contents``.
    """
    found = [(index, rows) for index, content in enumerate(contents) if (rows := _inflate(content, size))]
    if not found:
        return np.empty((0, size, size), np.uint8), ()
    indices = [index for index, _ in found]
    pixels, good = _unfilter([rows for _, rows in found], size)
    if good.all():
        return pixels, indices
    return pixels[good], [index for index, is_good in zip(indices, good.tolist(), strict=True) if is_good]


@lru_cache(maxsize=4)
def _head(size: int) -> bytes:
    """Return signature and IHDR chunk of a plain image of this size."""
    header = b"IHDR" + struct.pack(">II", size, size) + _PLAIN
    return PNG_SIGNATURE + struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))


def _inflate(content: bytes | None, size: int) -> bytes | None:
    """Return the rows of a plain image, each preceded by its filter type: ``size * (size + 1)`` bytes."""
    wanted = size * (size + 1)
    if (
        content is None
        or not content.startswith(_head(size))
        or not content.endswith(_END)
        or not _OVERHEAD_OF_ONE_CHUNK < len(content) <= min(PLAIN_BYTES, wanted + _OVERHEAD)
    ):
        return None
    if _number(content, 33)[0] == len(content) - _OVERHEAD_OF_ONE_CHUNK:
        # Nearly always there is one IDAT chunk.
        if content[37:41] != b"IDAT" or zlib.crc32(content[37:-16]) != _number(content, len(content) - 16)[0]:
            return None
        packed = content[41:-16]
    else:
        joined = _join_chunks(content)
        if joined is None:
            return None
        packed = joined
    try:
        rows = zlib.decompress(packed, bufsize=wanted + 1)
    except zlib.error:
        return None
    return rows if len(rows) == wanted else None


def _join_chunks(content: bytes) -> bytes | None:
    """Return the data of the chunks between IHDR and IEND, if all are undamaged IDAT chunks."""
    packed, offset, end = [], 33, len(content) - len(_END)
    while offset < end:
        after = offset + 8 + _number(content, offset)[0]
        if content[offset + 4 : offset + 8] != b"IDAT" or after + 4 > end:
            return None
        if zlib.crc32(content[offset + 4 : after]) != _number(content, after)[0]:
            return None
        packed.append(content[offset + 8 : after])
        offset = after + 4
    return b"".join(packed)


def _unfilter(images: Sequence[bytes], size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return the pixels ``(N, size, size)`` of filtered rows, and which images have valid filters.

    Pillow decodes all as one tall image. A filter takes the row above an image as black, so a black row is
    put before each.
    """
    black = bytes(size + 1)
    tall = black + black.join(images)
    count = len(images)
    lines = np.frombuffer(tall, np.uint8).reshape(count, size + 1, size + 1)
    good: npt.NDArray[np.bool_] = np.less(lines[:, :, 0].max(1), _FILTERS)
    if not good.all():
        kept = lines.copy()
        kept[~good] = 0
        tall = kept.tobytes()
    # Compression level 0 is little more than a copy.
    stream = zlib.compress(tall, 0)
    image = Image.frombytes("L", (size, count * (size + 1)), stream, "zip", "L")
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(count, size + 1, size)
    return pixels[:, 1:], good
