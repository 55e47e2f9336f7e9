"""Standard input: one image, or a list of paths."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.formats import MAX_BYTES, PNG_SIGNATURE, container_format, image_format

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = 1 << 16
_LONGEST: Final = 1 << 15
"""Maximum length of a name."""


def read_stdin(stream: BinaryIO) -> bytes | Iterator[str | Failed]:
    r"""Return the content of an image, or an iterator over a list of paths.

    An image is recognised by its first bytes. Anything else is a list: NUL-terminated names (as ``find
    -print0`` writes them) if there is a NUL near the beginning, otherwise one name per line.

    Raises:
        UsageError: The input is an array or a Parquet file, or an image that is too large.
    """
    head = _first(stream)
    is_list = _begins_like_binary(head)
    if container_format(head) and not is_list:
        raise UsageError(
            "standard input is an array or an archive, which is read from a file only: give its name"
        )
    if image_format(head) and not is_list:
        content = head + stream.read(MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise UsageError(f"the image on standard input has more than {MAX_BYTES:,} bytes")
        return content
    return _names(head, stream, b"\0" if b"\0" in head else b"\n")


def _begins_like_binary(names: bytes) -> bool:
    """Return whether names begin with the first bytes of a BMP or Parquet file, as ``BMW/1.png`` does."""
    if names.startswith(b"BM"):
        return names[6:10] != bytes(4)  # which are reserved in a BMP
    return names.startswith(b"PAR1") and names[4:5] >= b" "


def _first(stream: BinaryIO) -> bytes:
    """Return the beginning: enough to recognise an image, unless the input is shorter."""
    head = b""
    while len(head) < 16 and (more := getattr(stream, "read1", stream.read)(_HEAD)):  # noqa: PLR2004
        head += more
        if b"\n" in head and not image_format(head) and not head.startswith(PNG_SIGNATURE[:6]):
            break  # the first line of a list that is being typed
    return head


def _names(head: bytes, stream: BinaryIO, end: bytes) -> Iterator[str | Failed]:
    rest = head
    while True:
        *names, rest = rest.split(end)
        for name in names:
            yield from _name(name, end)
        if len(rest) > _LONGEST:
            yield Failed(
                "-",
                f"standard input: a name of more than {_LONGEST:,} bytes; the rest of the list is not read",
            )
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
        yield Failed("-", "standard input: a line has a NUL byte, so it is not a name")
        return
    yield os.fsdecode(name)
