"""Which image files are read, said here and nowhere else, and how one is opened.

A file is told by its first bytes and goes to the one reader of its format, by name: none of Pillow's other
readers is ever let near a stranger's file, not even to say that it is not its own. What a file may ask for is
bounded before anything is decoded: its bytes, its pixels, the packings of a TIFF.
"""

from __future__ import annotations

import io
import logging
import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from PIL import Image

__all__ = ["FORMATS", "MAX_BYTES", "MAX_PIXELS", "name_of", "open_header", "open_source"]

_READERS: Final = {
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
}
"""The class that reads a format. Pillow's own opener of JPEG would hand some files on to another."""

FORMATS: Final = tuple(_READERS)
"""What is read, by Pillow's names; PPM includes PBM, PGM and PFM."""

MAX_PIXELS: Final = 1 << 26
"""An image with more pixels than this (8,192 x 8,192) is refused before it is decoded."""

MAX_BYTES: Final = 1 << 29
"""A file with more bytes than this is refused unread."""

_PACKINGS: Final = frozenset(
    {
        *("raw", "tiff_raw_16", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "jpeg"),
        *("tiff_ccitt", "group3", "group4"),
    }
)
"""How a TIFF may be packed. Libtiff knows more, each with a decoder that no digit was ever packed for."""

_MARKS: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
"""First bytes of a file of each kind; PPM and WEBP need more than a beginning."""
_HEAD_BYTES: Final = 16

# Pillow's readers log what they think of a file, and without any handler that is printed on standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def name_of(source: str | Path | bytes | BinaryIO) -> str:
    """Return what a message calls the source."""
    if isinstance(source, (str, Path)):
        return printable(source)
    return printable(getattr(source, "name", "the image"))


def open_source(source: str | Path | bytes | BinaryIO) -> BinaryIO:
    """Return a file of our own to read and to close; a caller's file is read and left open.

    Raises:
        ValueError: It is not a regular file, or holds more than any image.
        OSError: It cannot be read.
    """
    if isinstance(source, (str, Path)):
        file = open_regular(source)
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            file.close()
            raise ValueError(f"{name_of(source)}: more than {MAX_BYTES:,} bytes")
        return file
    content = source if isinstance(source, bytes) else source.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{name_of(source)}: more than {MAX_BYTES:,} bytes")
    return io.BytesIO(content)


def open_header(file: BinaryIO) -> Image.Image:
    """Return the image in a file, its header read and its pixels not.

    Raises:
        ImageError: It is none of :data:`FORMATS`, or too large.
        Exception: Whatever a damaged file leads its reader to.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    kind = _format(head)
    if kind is None:
        raise ImageError(
            f"not an image of a known format ({', '.join(FORMATS)})" if head else "an empty file"
        )
    module, reader = _READERS[kind]
    if kind == "TIFF":
        _hush_libtiff()
    # Straight to the one reader: Image.open would load and try others, and has a pixel limit of its own.
    image: Image.Image = getattr(import_module(f"PIL.{module}"), reader)(file, "")
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("an image without pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are read")
    if kind == "TIFF" and image.info.get("compression") not in _PACKINGS:
        raise ImageError(f"a TIFF packed as {printable(image.info.get('compression'))}, which is not read")
    return image


def _format(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    if head[:1] == b"P":
        return "PPM" if head[1:2] in b"123456fF" and head[2:3].isspace() else None
    return next((kind for mark, kind in _MARKS.items() if head.startswith(mark)), None)


@cache
def _hush_libtiff() -> None:
    """Stop libtiff from writing on standard error what it thinks of a file; what matters is an exception too.

    Pillow leaves libtiff's own handlers in place. Where its wheel holds libtiff without its names, as on
    Windows, the lines stay.
    """
    import ctypes  # noqa: PLC0415 - for TIFF only

    from PIL import _imaging  # noqa: PLC0415

    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
