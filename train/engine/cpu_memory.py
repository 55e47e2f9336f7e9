"""The C library's memory allocator: its settings for training on a CPU, and memory it keeps."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of glibc's mallopt, from malloc.h."""


def keep_freed_memory() -> None:
    """Keep memory that CPU tensors free in the process, for the tensors of the next step.

    By default glibc returns large blocks to the system, which clears each page when it is requested again:
    on a virtual machine that can take longer than the computation (docs/results/speed.md). With another C
    library this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not on Linux, or musl
        return
    largest = 2**31 - 1
    mallopt(_TRIM_THRESHOLD, largest)
    mallopt(_MMAP_THRESHOLD, largest)


def release_freed_memory() -> None:
    """Return memory that was freed to the system, before other large blocks are requested.

    glibc keeps freed blocks of each thread for its next requests: some hundred megabytes after networks ran
    on images. With another C library this does nothing.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not on Linux, or musl
        return
