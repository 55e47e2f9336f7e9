"""Progress of a long run on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

from infogan_tool.cli import output

_DEFAULT_SECONDS: Final = 30.0
"""Time between two lines."""
_REQUESTED_SECONDS: Final = 5.0
"""Time between two lines with ``--progress``."""
_BAR_AFTER: Final = 1.0
"""Shorter runs show nothing."""
_MINUTE: Final = 60


class Progress:
    """Shows the number of inputs done, the rate, and the time left if the total is known.

    Args:
        count: Returns the number of inputs, or None; called in a thread, because it may take long.
        done: Number of inputs that an earlier run has done.
        wanted: True for frequent lines, False for none, None for a line now and then.
        bar: Whether to show a bar instead, on a terminal; not if rows are printed on the same terminal.
    """

    def __init__(self, count: Callable[[], int | None], *, done: int, wanted: bool | None, bar: bool) -> None:
        self._count = count
        self._total: int | None = None
        self._first = self._done = done
        self._start = self._printed = time.monotonic()
        self._shown = wanted is not False
        self._seconds = _REQUESTED_SECONDS if wanted else _DEFAULT_SECONDS
        self._use_bar = bar and sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._counting = False

    def update(self, done: int) -> None:
        """Set the number of inputs that are done, including those of an earlier run."""
        self._done = done
        now = time.monotonic()
        if not self._shown or now - self._start < _BAR_AFTER:
            return
        if not self._counting:
            self._counting = True
            threading.Thread(target=self._find_total, daemon=True).start()
        if self._use_bar:
            self._show_bar()
        elif now - self._printed >= self._seconds:
            self._printed = now
            output.note(self.line(now))

    def line(self, now: float) -> str:
        """Return the progress as text."""
        rate = (self._done - self._first) / max(now - self._start, 1e-9)
        of = f" of {self._total:,}" if self._total is not None else ""
        words = [f"{self._done:,}{of} images", f"{rate:,.0f} a second"]
        if self._total is not None and rate > 0:
            words.append(f"{_duration((self._total - self._done) / rate)} left")
        return ", ".join(words)

    def _find_total(self) -> None:
        with suppress(Exception):  # the total is optional; the run itself reports errors
            self._total = self._count()

    def _show_bar(self) -> None:
        if self._bar is None:
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            from infogan_tool.cli.stderr_console import StderrConsole

            columns = (BarColumn(), TextColumn("{task.description}"))
            # Only standard error is redirected above the bar: standard output has the codes.
            console = StderrConsole()
            self._bar = Bar(*columns, console=console, redirect_stdout=False, transient=True)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        self._bar.update(
            self._task,
            completed=self._done,
            total=self._total,
            description=self.line(time.monotonic()),
        )

    def __enter__(self) -> Self:
        """Return self; nothing is shown before :meth:`update`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
