"""Where metrics go: metrics.jsonl, TensorBoard, and a progress display on stderr."""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from infogan_tool.runtime.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console


class _ScalarSink(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """A log of one JSON object per line in ``metrics.jsonl``, and of the same scalars for TensorBoard.

    Args:
        path: The file metrics.jsonl; lines are appended.
        tensorboard: Folder of TensorBoard's files; None: none.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, path: Path, tensorboard: Path | None = None) -> None:
        self._sink = _open_tensorboard(tensorboard) if tensorboard else None
        self._path = path
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def write(self, record: dict[str, Any]) -> None:
        """Write and flush ``record``, which has ``step``.

        Raises:
            OSError: The disk is full, or the run folder was removed; names the file.
        """
        with self._named():
            if not os.fstat(self._file.fileno()).st_nlink:  # otherwise lines would be lost without an error
                raise FileNotFoundError(errno.ENOENT, "it was removed while the training ran")
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        if self._sink is not None:
            for name, value in record.items():
                if "/" in name:
                    self._sink.add_scalar(name, value, record["step"])

    def sync(self) -> None:
        """Flush all lines to the disk."""
        with self._named():
            os.fsync(self._file.fileno())

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = str(self._path)
            raise

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        with suppress(OSError):  # a failed write was an error before
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
    """Return the most important metrics of a record in one line."""
    if "Loss/D/adv" not in record:
        named = [(k.rsplit("/", 1)[-1], v) for k, v in record.items() if k.startswith(("Loss/", "MI/"))]
        return "  ".join(f"{name} {value:.3f}" for name, value in named)
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


class SpeedClock:
    """Measures speed between readings.

    Args:
        step: Steps completed so far.
        batch_size: Images per step.
    """

    def __init__(self, step: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._step, self._time = step, time.perf_counter()

    def read(self, step: int) -> dict[str, float]:
        """Return seconds per step and images per second since the last reading, by metric name."""
        now = time.perf_counter()
        seconds = (now - self._time) / max(step - self._step, 1)
        self._step, self._time = step, now
        return {"Timing/sec_per_step": seconds, "Timing/images_per_sec": self._batch_size / seconds}


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """A live bar with the newest metrics on a terminal; a line per interval anywhere else.

    Once the output cannot be written (the terminal was closed, a pipe has no reader) nothing more is shown.

    Args:
        console: On stderr.
        num_stages: Stages of the run; the name of a single one is not shown.
        total_steps: Steps of the whole run.
    """

    def __init__(self, console: Console, *, num_stages: int, total_steps: int) -> None:
        self.console = console
        self._num_stages, self._stage = num_stages, 0
        self._title, self._steps = "", 0
        self._live: Live | None = None
        self._visible = True
        self._bar = Progress(
            TextColumn("{task.fields[title]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed}/{task.total}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("", title="", rate="")
        # Without a terminal, about a hundred lines for the whole run.
        self._line_every, self._next_line = total_steps // 100, 0

    def __enter__(self) -> Self:
        """Show the bar."""
        if self.console.is_terminal:
            self._live = Live(self._bar, console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def skip_stage(self) -> None:
        """Count a stage that was finished before."""
        self._stage += 1

    def start_stage(self, stage: str, steps: int) -> None:
        """Show a new stage of ``steps`` steps."""
        self._stage += 1
        self._title = f"{stage} ({self._stage}/{self._num_stages})" if self._num_stages > 1 else ""
        self._steps, self._next_line = steps, 0
        self._bar.reset(self._task, total=steps, title=self._title, rate="")

    def advance(self, done: int) -> None:
        """Show that ``done`` steps of the stage are completed."""
        if self._live is not None:
            self._bar.update(self._task, completed=done)

    def show(self, record: dict[str, Any]) -> None:
        """Show a metrics record."""
        if self._visible:
            with self._while_visible():
                self._show(record)

    def _show(self, record: dict[str, Any]) -> None:
        rate = f"{record['Timing/images_per_sec']:,.0f} images/s"
        done = record["stage_step"]
        if self._live is not None:
            self._bar.update(self._task, rate=rate)
            self._live.update(Group(self._bar, Text(summary_line(record))))
        elif done >= self._next_line or done == self._steps:
            self._next_line = done + self._line_every
            left = _duration((self._steps - done) * record["Timing/sec_per_step"])
            title = f"{self._title} " if self._title else ""
            position = f"{title}step {done}/{self._steps}  {rate}  {left} left"
            self.console.print(
                f"{position}  {summary_line(record)}", markup=False, highlight=False, soft_wrap=True
            )

    @contextmanager
    def _while_visible(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SystemExit):  # rich exits where a pipe has no reader
            self._visible = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop updating the bar."""
        if self._live is not None:
            with self._while_visible():
                self._live.stop()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
