"""Standard input: one image, or a list of paths."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.formats import MAX_BYTES, PNG_SIGNATURE, container_format, image_format

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_stdin"]

_HEAD: Final = 1 << 16
_LONGEST: Final = 1 << 15
"""A longer name is none."""


def read_stdin(stream: BinaryIO) -> bytes | Iterator[str | Failed]:
    r"""Return the content of the image that comes in, or the paths that are listed, as they come.

    An image is told by its first bytes. Anything else is a list: names with a NUL after each (as ``find
    -print0`` writes them) if there is a NUL in its beginning, otherwise one a line.

    Raises:
        UsageError: It is an array or a Parquet file, which must be a file, or an image that is too large.
    """
    head = _first(stream)
    if container_format(head):
        raise UsageError("standard input holds an array or an archive: give the name of the file instead")
    if image_format(head):
        content = head + stream.read(MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise UsageError(f"standard input holds more than {MAX_BYTES:,} bytes, no image")
        return content
    return _names(head, stream, b"\0" if b"\0" in head else b"\n")


def _first(stream: BinaryIO) -> bytes:
    """Return the beginning: at least what tells an image, unless there is no more."""
    head = b""
    while len(head) < 16 and (more := getattr(stream, "read1", stream.read)(_HEAD)):  # noqa: PLR2004
        head += more
        if b"\n" in head and not image_format(head) and not head.startswith(PNG_SIGNATURE[:6]):
            break  # the first line of a list that somebody types
    return head


def _names(head: bytes, stream: BinaryIO, end: bytes) -> Iterator[str | Failed]:
    rest = head
    while True:
        *whole, rest = rest.split(end)
        for name in whole:
            yield from _name(name, end)
        if len(rest) > _LONGEST:
            yield Failed("-", f"standard input: a name of more than {_LONGEST:,} bytes; the list ends there")
            return
        more = getattr(stream, "read1", stream.read)(_HEAD)
        if not more:
            yield from _name(rest, end)
            return
        rest += more


def _name(name: bytes, end: bytes) -> Iterator[str | Failed]:
    if end == b"\n":
        name = name.removesuffix(b"\r")
    if not name:
        return
    if b"\0" in name:
        yield Failed("-", "standard input: a line with a NUL byte is no name")
        return
    yield os.fsdecode(name)
