"""The PNG that data sets are kept as: 8 bits of grey, nothing else in the file.

Pillow's reader is general, and of a picture as small as MNIST's most of its time goes into that. This reads
the chunks itself and leaves inflating and unfiltering to Pillow's decoder. Whatever is not exactly the
plain form is left to Pillow's reader, and so is every judgement of what is wrong with a file.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["PLAIN_BYTES", "read_plain_png"]

PLAIN_BYTES: Final = 1 << 14
"""Longer files are left to Pillow; of those its reader's time is a small part."""
_HEAD: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PLAIN: Final = b"\x08\x00\x00\x00\x00"
"""8 bits, grey, deflate, the five filters, not interlaced."""
_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_HEAD_ENDS: Final = 33


def read_plain_png(content: bytes, size: int) -> npt.NDArray[np.uint8] | None:
    """Return the pixels ``(size, size)`` of a PNG in the plain form; None: let Pillow's reader see to it.

    Args:
        content: The whole file.
        size: Height and width; a picture of another size is not read.
    """
    if not content.startswith(_HEAD) or content[24:29] != _PLAIN or not content.endswith(_END):
        return None
    width, height, check = struct.unpack_from(">II5xI", content, 16)
    if (width, height) != (size, size) or zlib.crc32(content[12:29]) != check:
        return None
    packed, place, end = [], _HEAD_ENDS, len(content) - len(_END)
    while place < end:
        (length,) = struct.unpack_from(">I", content, place)
        after = place + 8 + length
        if content[place + 4 : place + 8] != b"IDAT" or after + 4 > end:
            return None
        if zlib.crc32(content[place + 4 : after]) != struct.unpack_from(">I", content, after)[0]:
            return None
        packed.append(content[place + 8 : after])
        place = after + 4
    try:
        # The very decoder of Pillow's PNG reader; it stops at the picture's last row.
        picture = Image.frombytes("L", (size, size), b"".join(packed), "zip", "L")
    except Exception:  # noqa: BLE001 - what is wrong is for the general reader to say
        return None
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(size, size)
