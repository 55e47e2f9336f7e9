"""A lock that allows one writer at a time and ends with its process.

It is an operating-system lock on a small file, so a lock file left by a killed process does not block the
next one. On file systems without locks (some NFS) nothing is locked.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.errors import InUseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_LOCKED_BYTE: Final = 1 << 30
"""The byte that is locked on Windows, where locked bytes cannot be read: far behind the holder's name."""
_LONGEST_NAME: Final = 200


@contextmanager
def only_writer(lock: Path, what: str) -> Iterator[bool]:
    """Hold ``lock`` while the block runs, and remove its file afterwards.

    Args:
        lock: The lock file, created if it does not exist; its folder must exist.
        what: Name of the output, for the message.

    Yields:
        Whether the lock is exclusive; False on a file system without locks.

    Raises:
        InUseError: Another process, or this one, holds it.
        OSError: The file cannot be created.
    """
    descriptor, is_exclusive = _acquire(lock, what)
    try:
        yield is_exclusive
    finally:
        # Removed while it is held, so that _acquire of another process sees that the file is gone. Windows
        # cannot remove an open file, so it is closed first.
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)
        if sys.platform == "win32":
            with suppress(OSError):
                lock.unlink()


def _acquire(lock: Path, what: str) -> tuple[int, bool]:
    while True:
        descriptor = os.open(lock, _FLAGS, 0o666)
        try:
            is_exclusive = _try_lock(descriptor)
            if is_exclusive and not _is_current(lock, descriptor):  # its holder has just ended and removed it
                os.close(descriptor)
                continue
            with suppress(OSError):  # a full disk; the name is only for a message
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise InUseError(what, holder) from error
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, is_exclusive


def _try_lock(descriptor: int) -> bool:
    """Take the lock; return False if the file system has no locks.

    Raises:
        BlockingIOError: Another process holds it.
    """
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - Windows

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(str(error)) from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _is_current(lock: Path, descriptor: int) -> bool:
    """Return whether ``lock`` is still the file that was opened."""
    try:
        return os.path.samestat(lock.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    with suppress(OSError):
        name = os.read(descriptor, _LONGEST_NAME).decode(errors="replace")
        return name if name.isprintable() else ""
    return ""
