"""Where the time of a training goes: a trace for a viewer, and one screen for a person.

``train --profile`` looks at each stage: after five steps that do not count, ten are traced by torch's
profiler, and fifty more are timed by the clock alone, as the profiler makes all that is small look large. It
writes ``RUN/profile/STAGE.json.gz``, which chrome://tracing and Perfetto open, and ``STAGE.txt``.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import AbstractContextManager, ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console

__all__ = ["StepProfile", "section"]

_PREFIX: Final = "train: "
_REST: Final = "the rest"
_WARM, _TRACED, _TIMED = 5, 10, 50
_OPERATORS: Final = 8


class _SectionClock:
    """Seconds by section; those of a section within another are its own alone."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.steps = 0
        self._began = self._last = self._now()
        self._open = [_REST]

    def enter(self, name: str) -> None:
        self._book()
        self._open.append(name)

    def leave(self) -> None:
        self._book()
        self._open.pop()

    def stepped(self) -> None:
        self._book()
        self.steps += 1

    @property
    def seconds(self) -> float:
        return self._last - self._began

    def _book(self) -> None:
        now = self._now()
        self.spent[self._open[-1]] += now - self._last
        self._last = now

    def _now(self) -> float:
        if self._device.type == "cuda":  # what was asked of it before belongs to the section before
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


_clocks: Final[list[_SectionClock]] = []
"""The one that runs, if any."""


@contextmanager
def section(name: str) -> Iterator[None]:
    """Name a part of a step; while nobody looks it costs some microseconds."""
    clock = _clocks[-1] if _clocks else None
    with record_function(_PREFIX + name):
        if clock is None:
            yield
            return
        clock.enter(name)
        try:
            yield
        finally:
            clock.leave()


class StepProfile(AbstractContextManager["StepProfile"]):
    """Looks at some steps of a stage.

    Args:
        folder: Where the files go; it is made if need be.
        stage: Name of the stage.
        device: Where it computes.
        console: Where the screen is shown.
    """

    def __init__(self, folder: Path, stage: str, device: torch.device, console: Console) -> None:
        self._folder, self._stage, self._device, self._console = folder, stage, device, console
        self._stack, self._seen = ExitStack(), 0
        self._profile: profile | None = None
        self._clock: _SectionClock | None = None
        self._screen: list[str] = []

    def stepped(self) -> None:
        """Say that a step, and what is written after it, is done."""
        self._seen += 1
        if self._clock is not None:
            self._clock.stepped()
        if self._seen == _WARM:
            self._begin_trace()
        elif self._seen == _WARM + _TRACED:
            self._end_trace()
            self._clock = _SectionClock(self._device)
            _clocks.append(self._clock)
            self._stack.callback(_clocks.clear)
        elif self._seen == _WARM + _TRACED + _TIMED:
            self._end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was seen of a stage of fewer steps."""
        if kind is None:
            self._end()
        self._stack.close()

    def _begin_trace(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it says on stderr that there is no GPU
        on_gpu = [ProfilerActivity.CUDA] if self._device.type == "cuda" else []
        self._profile = self._stack.enter_context(profile(activities=[ProfilerActivity.CPU, *on_gpu]))

    def _end_trace(self) -> None:
        if self._profile is None:
            return
        seen, self._profile = self._profile, None
        self._stack.close()
        self._folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as aside:
            trace = Path(aside) / "trace.json.gz"
            seen.export_chrome_trace(str(trace))
            write_atomic(self._folder / f"{self._stage}.json.gz", trace.read_bytes())
        self._screen += _operators(seen)

    def _end(self) -> None:
        self._end_trace()
        clock, self._clock = self._clock, None
        self._stack.close()
        if clock is not None and clock.steps:
            self._screen[:0] = _shares(clock)
        if self._screen:
            screen = "\n".join([f"profile of stage {self._stage}", *self._screen])
            write_atomic(self._folder / f"{self._stage}.txt", screen + "\n")
            self._console.print(screen, highlight=False, markup=False, soft_wrap=True)
            self._screen.clear()


def _shares(clock: _SectionClock) -> list[str]:
    ranked = sorted(clock.spent.items(), key=itemgetter(1), reverse=True)
    lines = [f"{clock.steps} steps, {clock.seconds / clock.steps * 1000:.2f} ms each"]
    return lines + [f"  {spent / clock.seconds:>6.1%}  {name}" for name, spent in ranked]


def _operators(seen: profile) -> list[str]:
    averages = [event for event in seen.key_averages() if not event.key.startswith(_PREFIX)]
    on_gpu = any(event.self_device_time_total for event in averages)
    own = Counter(
        {
            event.key: event.self_device_time_total if on_gpu else event.self_cpu_time_total
            for event in averages
        }
    )
    whole = sum(own.values()) or 1
    lines = [f"operators by their own time on the {'GPU' if on_gpu else 'CPU'}"]
    return lines + [f"  {spent / whole:>6.1%}  {name}" for name, spent in own.most_common(_OPERATORS)]
