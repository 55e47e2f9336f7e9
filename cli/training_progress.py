"""The progress of a training on standard error: a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from infogan_tool.train import Callback

if TYPE_CHECKING:
    from infogan_tool.cli.stderr_console import StderrConsole
    from infogan_tool.train import Run


class TrainingProgress(Callback):
    """A live bar with the newest metrics on a terminal; a line per interval anywhere else.

    Args:
        console: Where it is shown.
    """

    def __init__(self, console: StderrConsole) -> None:
        self.console = console
        self._title, self._next_line, self._line_every = "", 0, 0
        self._live: Live | None = None
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

    def on_start(self, run: Run) -> None:
        """Show the bar; without a terminal, about a hundred lines are shown for the whole run."""
        self._line_every = run.total_steps // 100
        if self.console.is_terminal:
            self._live = Live(self._bar, console=self.console, refresh_per_second=4)
            self._live.start()

    def on_stage(self, run: Run) -> None:
        """Show a new stage."""
        assert run.stage is not None
        stage, self._next_line = run.stage, 0
        self._title = f"{stage.name} ({stage.number}/{stage.count})" if stage.count > 1 else ""
        self._bar.reset(self._task, total=stage.steps, title=self._title, rate="")
        if self._live is not None:
            self._live.refresh()

    def on_step(self, run: Run) -> None:
        """Show the number of steps that are completed."""
        if self._live is not None and run.stage is not None:
            self._bar.update(self._task, completed=run.stage.step)

    def on_report(self, run: Run, record: dict[str, Any]) -> None:
        """Show the metrics."""
        assert run.stage is not None
        done, steps = run.stage.step, run.stage.steps
        rate = f"{record['Timing/images_per_sec']:,.0f} images/s"
        if self._live is not None:
            self._bar.update(self._task, rate=rate)
            self._live.update(Group(self._bar, Text(summary_line(record))), refresh=True)
        elif done >= self._next_line or done == steps:
            self._next_line = done + self._line_every
            left = _duration((steps - done) * record["Timing/sec_per_step"])
            title = f"{self._title} " if self._title else ""
            position = f"{title}step {done}/{steps}  {rate}  {left} left"
            self.console.print(
                f"{position}  {summary_line(record)}", markup=False, highlight=False, soft_wrap=True
            )

    def on_end(self, run: Run) -> None:  # noqa: ARG002 - the protocol's
        """Stop updating the bar."""
        if self._live is not None:
            self._live.stop()


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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
