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
def stop_signals(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` at the first SIGINT, SIGTERM or SIGHUP; a second one raises KeyboardInterrupt.

    A signal that the process ignores (nohup) stays ignored. Only the main thread receives signals; in any
    other one nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def request_stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        if received:
            raise KeyboardInterrupt
        received.append(number)
        stop.set()

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handled = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, request_stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is request_stop:  # unless it was replaced meanwhile
                signal.signal(number, handler)
