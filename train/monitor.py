"""Where a run's numbers go: metrics.jsonl, TensorBoard, and a progress display on stderr."""

from __future__ import annotations

import json
import math
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from infogan_tool.runtime.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console

__all__ = ["MetricsLog", "ProgressDisplay", "summary_line"]


class _ScalarSink(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Appends one JSON object a line to ``metrics.jsonl``, and the same scalars to TensorBoard if wanted.

    Raises:
        MissingExtraError: TensorBoard is wanted and not installed.
    """

    def __init__(self, path: Path, tensorboard: Path | None = None) -> None:
        self._sink = _open_tensorboard(tensorboard) if tensorboard else None
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Write ``record``, which has ``step``; the line is on its way to the disk when this returns."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._sink is not None:
            for name, value in record.items():
                if name != "step":
                    self._sink.add_scalar(name, value, record["step"])

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._file.close()
        if self._sink is not None:
            self._sink.close()


def _open_tensorboard(folder: Path) -> _ScalarSink:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("--tensorboard", "tensorboard") from error
    writer: _ScalarSink = SummaryWriter(str(folder))
    return writer


def summary_line(record: dict[str, Any]) -> str:
    """Return the figures of a metrics record that a person follows, in one line."""
    bounds = " ".join(
        f"{name.removeprefix('MI/')} {value:.2f}"
        for name, value in record.items()
        if name.startswith("MI/") and name != "MI/lower_bound"
    )
    return (
        f"D {record['Loss/D/adv']:.2f}  G {record['Loss/G/adv']:.2f}  "
        f"L_I {record['MI/lower_bound']:.2f} ({bounds})  "
        f"D(real) {record['Scores/real']:.2f}  "
        f"D(fake) {record['Scores/fake_before_g']:.2f}->{record['Scores/fake_after_g']:.2f}"
    )


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """A live bar with the newest figures on a terminal; a line per interval anywhere else.

    Args:
        console: Where to show it; its stream is stderr.
        total_steps: Steps of the whole run.
        steps_per_epoch: Steps in one pass over the data.
        log_every: Steps per interval.
    """

    def __init__(self, console: Console, *, total_steps: int, steps_per_epoch: int, log_every: int) -> None:
        self.console = console
        self._total, self._per_epoch = total_steps, steps_per_epoch
        self._epochs = math.ceil(total_steps / steps_per_epoch)
        self._live: Live | None = None
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed}/{task.total}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("", total=total_steps, epoch="", rate="")
        # Without a terminal, about a hundred lines for the whole run.
        self._line_every = max(log_every, total_steps // 100)
        self._next_line = 0

    def __enter__(self) -> Self:
        """Show the bar."""
        if self.console.is_terminal:
            self._live = Live(self._bar, console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def advance(self, step: int) -> None:
        """Say that ``step`` steps are done."""
        if self._live is not None:
            epoch = min(step // self._per_epoch + 1, self._epochs)
            self._bar.update(self._task, completed=step, epoch=f"{epoch}/{self._epochs}")

    def show(self, record: dict[str, Any]) -> None:
        """Show a metrics record."""
        step, rate = record["step"], f"{record['Timing/images_per_sec']:,.0f} images/s"
        if self._live is not None:
            self._bar.update(self._task, rate=rate)
            self._live.update(Group(self._bar, Text(summary_line(record))))
        elif step >= self._next_line or step == self._total:
            self._next_line = step + self._line_every
            left = (self._total - step) * record["Timing/sec_per_step"]
            place = f"step {step}/{self._total}  {rate}  {_duration(left)} left"
            self.console.print(
                f"{place}  {summary_line(record)}", markup=False, highlight=False, soft_wrap=True
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        if self._live is not None:
            self._live.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
