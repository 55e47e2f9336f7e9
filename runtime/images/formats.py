"""The table of file formats (signatures and suffixes), and opening an untrusted image file.

The first bytes decide the format, and only the reader of that format opens the file; Pillow's other readers
are not tried. Bytes, pixels and the compression of a TIFF are limited before anything is decoded.
"""

from __future__ import annotations

import io
import logging
import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images import tag_limits
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from PIL import Image


class _Format(NamedTuple):
    module: str
    """Pillow's module of the reader."""
    reader: str
    """Its class. Pillow's own opener of JPEG would hand some files on to other readers."""
    suffixes: tuple[str, ...]
    """Lower-case endings of the files' names."""
    signatures: tuple[bytes, ...] = ()
    """The files' first bytes; PPM and WEBP need more than a prefix."""


PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_FORMATS: Final = {
    "PNG": _Format("PngImagePlugin", "PngImageFile", (".png",), (PNG_SIGNATURE,)),
    "JPEG": _Format("JpegImagePlugin", "JpegImageFile", (".jpg", ".jpeg"), (b"\xff\xd8\xff",)),
    "GIF": _Format("GifImagePlugin", "GifImageFile", (".gif",), (b"GIF87a", b"GIF89a")),
    "BMP": _Format("BmpImagePlugin", "BmpImageFile", (".bmp",), (b"BM",)),
    "TIFF": _Format(
        "TiffImagePlugin",
        "TiffImageFile",
        (".tif", ".tiff"),
        (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    ),
    "WEBP": _Format("WebPImagePlugin", "WebPImageFile", (".webp",)),
    "PPM": _Format("PpmImagePlugin", "PpmImageFile", (".pbm", ".pgm", ".ppm", ".pnm", ".pfm")),
}

FORMATS: Final = tuple(_FORMATS)
"""The image formats that are read, by Pillow's names; PPM includes PBM, PGM and PFM."""

IMAGE_SUFFIXES: Final = tuple(suffix for kind in _FORMATS.values() for suffix in kind.suffixes)
"""Endings of the names of image files, in lower case."""

CONTAINER_SUFFIXES: Final = (".npy", ".npz", ".parquet", "-ubyte", "-ubyte.gz")
"""Endings of the names of files that hold many images, in lower case."""

ANIMATION_SUFFIXES: Final = {".gif": "GIF", ".webp": "WEBP"}
"""The formats in which animations are written, by the ending of the name."""

_CONTAINERS: Final = {
    b"PAR1": "parquet",
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"\x1f\x8b": "idx",
    b"\0\0\x08": "idx",
}
"""Files that hold many images, by their first bytes; gzip is taken for a compressed IDX file."""

MAX_PIXELS: Final = 1 << 26
"""Most pixels of an image (8,192 x 8,192), checked before it is decoded."""

MAX_BYTES: Final = 1 << 29
"""Most bytes of an image file, checked before it is read."""

_TIFF_COMPRESSIONS: Final = frozenset(
    {
        *("raw", "tiff_raw_16", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "jpeg"),
        *("tiff_ccitt", "group3", "group4"),
    }
)
"""Compressions of a TIFF that are read. Libtiff has more, each with a decoder that no data set needs."""

_HEAD_BYTES: Final = 16

# Pillow's readers log warnings, which Python prints on standard error where no handler is set.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def name_of(source: object) -> str:
    """Return the name of the source in messages."""
    if isinstance(source, (str, Path)):
        return printable(source)
    return printable(getattr(source, "name", "the image"))


def open_source(source: str | Path | bytes | bytearray | memoryview | BinaryIO) -> BinaryIO:
    """Return a file to read and to close; a file of the caller is read into memory and left open.

    Raises:
        ValueError: It is not a regular file, or too large.
        OSError: It cannot be read.
    """
    if isinstance(source, (str, Path)):
        file = open_regular(source)
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            file.close()
            raise ValueError(f"{name_of(source)}: more than {MAX_BYTES:,} bytes")
        return file
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
    elif hasattr(source, "read"):
        content = source.read(MAX_BYTES + 1)
    else:
        raise ValueError(
            f"an image is a path, bytes, a file, a PIL image or an array, not {type(source).__name__}"
        )
    if len(content) > MAX_BYTES:
        raise ValueError(f"{name_of(source)}: more than {MAX_BYTES:,} bytes")
    return io.BytesIO(content)


def open_header(file: BinaryIO) -> Image.Image:
    """Return the image in a file; only its header has been read.

    Raises:
        ImageError: It is none of :data:`FORMATS`, or too large.
        Exception: The file is damaged.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    kind = image_format(head)
    if kind is None:
        raise ImageError(
            f"not an image of a known format ({', '.join(FORMATS)})" if head else "an empty file"
        )
    if kind == "TIFF":
        _silence_libtiff()
        if tag_limits.is_needed() and not tag_limits.fit_into(file):
            raise ImageError("a TIFF whose tags announce more data than the file has")
    # Not Image.open, which would try other readers and has another limit of pixels.
    module = import_module(f"PIL.{_FORMATS[kind].module}")
    reader = getattr(module, _FORMATS[kind].reader)
    if tag_limits.is_needed() and kind == "JPEG":
        # The resolution, which is not used, would be read from EXIF before its tags can be checked.
        reader = type(reader.__name__, (reader,), {"_read_dpi_from_exif": lambda _: None})
    image: Image.Image = reader(file, "")
    if tag_limits.is_needed() and kind != "TIFF":
        tag_limits.drop_exif(image)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("an image without pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are read")
    if kind == "TIFF" and image.info.get("compression") not in _TIFF_COMPRESSIONS:
        raise ImageError(
            f"a TIFF with compression {printable(image.info.get('compression'))}, which is not supported"
        )
    return image


def image_format(head: bytes) -> str | None:
    """Return the format of an image file, one of :data:`FORMATS`, by its first 16 bytes."""
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    if head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3].isspace():
        # Then come sizes or a comment; a list of names may begin with "P5 copy.png".
        return "PPM" if head[3:4].isdigit() or head[3:4].isspace() or head[3:4] == b"#" else None
    return next((name for name, kind in _FORMATS.items() if head.startswith(kind.signatures)), None)


def container_format(head: bytes) -> str | None:
    """Return the kind of a file of many images by its first 8 bytes: parquet, npy, npz, idx or None."""
    return next((kind for signature, kind in _CONTAINERS.items() if head.startswith(signature)), None)


@cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing warnings and errors on standard error; errors arrive as exceptions too.

    Pillow leaves libtiff's own handlers in place. Where its wheel hides libtiff's symbols, as on Windows, the
    lines stay.
    """
    import ctypes  # noqa: PLC0415 - for TIFF only

    from PIL import _imaging  # noqa: PLC0415

    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
