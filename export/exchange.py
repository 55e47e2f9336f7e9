"""Two names change places in one step, which Python's standard library has no call for."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["exchange"]

_HERE: Final = -100
"""AT_FDCWD of Linux: paths are relative to the working folder."""
_SWAP: Final = 2
"""RENAME_EXCHANGE of Linux's renameat2, and RENAME_SWAP of macOS's renamex_np."""
_CANNOT: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)


def exchange(one: Path, other: Path) -> bool:
    """Have ``one`` and ``other`` change places; at no moment is one of the names free.

    Returns:
        Whether they have: False where the system or the file system cannot, and nothing was changed.

    Raises:
        OSError: It can, and something else is wrong.
    """
    paths = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            result = library.renameat2(_HERE, paths[0], _HERE, paths[1], ctypes.c_uint(_SWAP))
        elif sys.platform == "darwin":
            result = library.renamex_np(*paths, ctypes.c_uint(_SWAP))
        else:
            return False
    except (
        AttributeError,
        OSError,
        TypeError,
    ):  # a C library without the call; Windows has not even that name
        return False
    if result == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
