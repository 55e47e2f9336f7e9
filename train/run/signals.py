"""The signals that stop a training early."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""SIGHUP: the terminal was closed. Windows does not have it."""


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an event; a second one raises KeyboardInterrupt.

    A signal that the process ignores (nohup) stays ignored.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request_stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, request_stop) for number in handled}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is request_stop:  # unless it was replaced meanwhile
                signal.signal(number, handler)
