"""Files are written aside and renamed: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["open_aside", "read_limited", "write_aside"]


@contextmanager
def open_aside(path: str | Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` for writing; on success sync it and rename it to ``path``.

    If the block raises, the temporary file is removed and ``path`` is as it was.

    Args:
        path: Where the finished file goes; its folder must exist.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open`, such as ``encoding``.

    Raises:
        OSError: The file cannot be written or renamed.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with aside.open(mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def write_aside(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path`` in one step; see :func:`open_aside`."""
    with open_aside(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def read_limited(path: str | Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises:
        ValueError: The file is larger.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path} is larger than {limit:,} bytes")
    return content
