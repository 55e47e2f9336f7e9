"""Write files atomically, read regular files with limits, and escape names for messages."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

from infogan_tool.runtime.errors import OutputExistsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)
"""Opening a pipe or a device with these does not block."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def atomic_open(path: str | Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:  # noqa: ANN401 - open()'s own
    """Open a temporary file next to ``path`` for writing; on success sync it and rename it to ``path``.

    A reader sees the old file or the new one, never a part. If the block raises, ``path`` is unchanged.

    Args:
        path: The file to write; its folder must exist.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Arguments of :func:`open`, such as ``encoding``.

    Raises:
        OutputExistsError: ``path`` is a folder, a device or a pipe, which a rename would replace.
        OSError: The file cannot be written or renamed.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise OutputExistsError(path, "it is not a file, so it is not replaced")
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
    try:
        with temporary.open(mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        # Messages name the target: the temporary name is internal, and the error of a full disk has no name.
        if isinstance(error, OSError) and (error.filename == str(temporary) or error.errno in _FULL):
            error.filename, error.filename2 = str(path), None
        raise


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path`` atomically; see :func:`atomic_open`."""
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


_LEFTOVER: Final = re.compile(r"\..+\.[0-9a-f]{8}\.partial")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed writers from ``folder``; the caller must be its only writer."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if is_leftover(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def is_leftover(name: str) -> bool:
    """Return whether a name is that of a temporary file of :func:`atomic_open`."""
    return bool(_LEFTOVER.fullmatch(name))


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of ``folder`` to disk, if the system supports it."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # not every file system supports it
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, without blocking on a pipe or a device.

    Raises:
        ValueError: It is not a regular file.
        OSError: It is missing or cannot be read.
    """
    # Checked before opening, because opening a device can have effects, and after, in case it has changed.
    _refuse_irregular(path, os.stat(path).st_mode)  # noqa: PTH116 - like the open below
    file = os.fdopen(os.open(path, _READ_FLAGS), "rb")
    try:
        _refuse_irregular(path, os.fstat(file.fileno()).st_mode)
    except ValueError:
        file.close()
        raise
    return file


def _refuse_irregular(path: str | Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is not a regular file")


def read_limited(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        ValueError: The file is larger, or not a regular file.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path} is larger than {limit:,} bytes")
    return content


def printable(text: object, limit: int | None = None) -> str:
    r"""Return ``text`` on one line, with characters that are not printable escaped, such as ``\x1b``.

    Args:
        text: Any value; its text is used.
        limit: Maximum length; a longer text is cut and ends with an ellipsis.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"
