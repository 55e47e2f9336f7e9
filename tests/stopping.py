"""A callback that stops a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train import Callback

if TYPE_CHECKING:
    from infogan_tool.train import Run


class StopAfter(Callback):
    """Stops the training after ``step`` steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Run) -> None:
        if run.step == self.step:
            run.stop()
