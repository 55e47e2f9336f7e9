"""Waiting for what a thread or another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

T = TypeVar("T")


def wait_until(condition: Callable[[], T], process: subprocess.Popen[bytes] | None = None) -> T:
    """Return the first true value of a condition.

    Args:
        condition: Called a hundred times a second.
        process: The process that is to make it true; the test fails if it ends first.

    Raises:
        AssertionError: The process has ended, or the condition is not true within ten minutes.
    """
    deadline = time.monotonic() + 600
    while not (value := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value
