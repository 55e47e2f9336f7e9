"""The C library's allocator settings for training on a CPU."""

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
