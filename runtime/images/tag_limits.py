"""A limit on the tags of TIFF and EXIF that Pillow has from version 13 on; for older versions.

The entries of a directory of tags may share their data, so that a small file makes a reader copy gigabytes.
"""

from __future__ import annotations

import io
import struct
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import BinaryIO

    from PIL import Image

_LIMITED: Final = 13
"""Pillow's first version with the limit."""
_TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_EXIF_PREFIX: Final = b"Exif\0\0"
_MAX_TAGS: Final = 65_535
"""Most tags of a directory. Only a BigTIFF could have more, and no real one does."""
_BIG: Final = 43
"""Version of a BigTIFF, whose counts and offsets have 64 bits."""


@cache
def is_needed() -> bool:
    """Return whether the installed Pillow has no such limit."""
    import PIL  # noqa: PLC0415 - not when only the table of formats is used

    return int(PIL.__version__.partition(".")[0]) < _LIMITED


def fit_into(file: BinaryIO) -> bool:
    """Return whether the data of all tags in a file's first directory is at most as large as the file.

    Args:
        file: A TIFF file; its position is kept.
    """
    start = file.tell()
    size = file.seek(0, io.SEEK_END)
    try:
        return _tag_bytes(file) <= size
    except (struct.error, OSError, OverflowError, ValueError):  # its reader says that the file is damaged
        return True
    finally:
        file.seek(start)


def drop_exif(image: Image.Image) -> None:
    """Remove EXIF data from an image if its tags do not fit into it, or are stored as text."""
    exif = image.info.get("exif", b"")
    if not fit_into(io.BytesIO(exif.removeprefix(_EXIF_PREFIX))):
        del image.info["exif"]
    image.info.pop("Raw profile type exif", None)


def _tag_bytes(file: BinaryIO) -> int:
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    (version,) = _read(file, f"{order}H")
    big = version == _BIG
    if big:
        _read(file, f"{order}I")
    (offset,) = _read(file, f"{order}{'Q' if big else 'I'}")
    file.seek(offset)
    (count,) = _read(file, f"{order}{'Q' if big else 'H'}")
    entry, inline = (f"{order}HHQQ", 8) if big else (f"{order}HHII", 4)
    total = 0
    content = file.read(min(count, _MAX_TAGS) * struct.calcsize(entry))
    whole = len(content) - len(content) % struct.calcsize(entry)  # less where the directory is cut off
    content = content[:whole]
    for _, kind, values, _ in struct.iter_unpack(entry, content):
        here = values * _TYPE_BYTES.get(kind, 0)
        total += here if here > inline else 0
    return total if count <= _MAX_TAGS else sys.maxsize


def _read(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
