"""The signals that end a training early."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["stop_signals"]

_STOPPING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""What ends a training early; SIGHUP is a terminal that was closed, and Windows has none."""


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an event: the step in hand ends and the state is saved.

    A signal that the process was told to ignore (nohup) stays ignored.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request_stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        if stop.is_set():
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        stop.set()

    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, request_stop) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is request_stop:  # or somebody has other plans by now
                signal.signal(number, handler)
