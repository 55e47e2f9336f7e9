"""What the process does with memory between steps."""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of glibc's mallopt, by their numbers in malloc.h."""


def keep_freed_memory() -> None:
    """Have this process keep what tensors on the CPU leave free, for those of the next step.

    glibc gives large blocks back to the system at once, and the system clears each page when it is asked for
    again: on a virtual machine that can take longer than the arithmetic on it (docs/results/speed.md). With
    another C library nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not on Linux, or musl
        return
    largest = 2**31 - 1
    mallopt(_TRIM_THRESHOLD, largest)
    mallopt(_MMAP_THRESHOLD, largest)
