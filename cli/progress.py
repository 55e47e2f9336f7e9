"""How far a long run is, on standard error: a bar on a terminal, now and then a line elsewhere."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Final, Self

from infogan_tool.cli import output

__all__ = ["Progress"]

_QUIET_SECONDS: Final = 30.0
"""Between two lines where there is no terminal."""
_ASKED_SECONDS: Final = 5.0
"""Likewise, where lines were asked for."""
_BAR_AFTER: Final = 1.0
"""A shorter run shows no bar."""
_MINUTE: Final = 60


class Progress(AbstractContextManager["Progress"]):
    """Shows inputs done, their rate, and the time left once their number is known.

    Args:
        count: Returns the number of inputs, or None; called in a thread of its own, since it may take long.
        done: Inputs that an earlier run did.
        wanted: True: lines or a bar; False: neither; None: a bar, or a line now and then.
        bar: Whether a bar may be drawn; it would disturb rows that appear on the same terminal.
    """

    def __init__(self, count: Callable[[], int | None], *, done: int, wanted: bool | None, bar: bool) -> None:
        self._count = count
        self._total: int | None = None
        self._first = self._done = done
        self._start = self._told = time.monotonic()
        self._shown = wanted is not False
        self._seconds = _ASKED_SECONDS if wanted else _QUIET_SECONDS
        self._may_draw = bar and sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._counting = False

    def update(self, done: int) -> None:
        """Take note that ``done`` inputs are done, those of an earlier run included."""
        self._done = done
        now = time.monotonic()
        if not self._shown or now - self._start < _BAR_AFTER:
            return
        if not self._counting:
            self._counting = True
            threading.Thread(target=self._find_total, daemon=True).start()
        if self._may_draw:
            self._draw()
        elif now - self._told >= self._seconds:
            self._told = now
            output.note(self.line(now))

    def line(self, now: float) -> str:
        """Return the state in words."""
        rate = (self._done - self._first) / max(now - self._start, 1e-9)
        of = f" of {self._total:,}" if self._total is not None else ""
        words = [f"{self._done:,}{of} images", f"{rate:,.0f} a second"]
        if self._total is not None and rate > 0:
            words.append(f"{_duration((self._total - self._done) / rate)} left")
        return ", ".join(words)

    def _find_total(self) -> None:
        with suppress(Exception):  # a hint that cannot be had is no error; the run itself tells what is wrong
            self._total = self._count()

    def _draw(self) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), TextColumn("{task.description}"))
            # Standard output is the codes' own, so only what goes to standard error is put above the bar.
            console = Console(stderr=True, markup=False, highlight=False)
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
        """Return itself; nothing is shown before :meth:`update`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
