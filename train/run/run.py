"""What a training returns: its networks, metrics and config, and the state that it can be resumed from."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data.source import TrainingData
    from infogan_tool.train.infogan.networks import Generator, Networks
    from infogan_tool.train.infogan.q_network import QPosterior
    from infogan_tool.train.run.checkpoint import Checkpoint


@dataclass(slots=True)
class StageProgress:
    """Where a training is in its current stage."""

    name: str
    """Name of the stage, as in the metrics."""
    number: int
    """Number of the stage, from 1."""
    count: int
    """Number of stages of the run."""
    step: int
    """Steps completed in the stage."""
    steps: int
    """Steps of the stage."""
    steps_per_epoch: int
    """Steps in one pass over the images."""


@dataclass(kw_only=True, eq=False)
class Run:
    """A training: in progress, as callbacks see it, or ended, as :func:`fit` returns it."""

    config: TrainConfig
    """The resolved config; its size and channels are those of the images."""
    networks: Networks
    """The networks, on the device of the training; in evaluation mode once it has ended."""
    data: TrainingData
    """The training images."""
    path: Path | None
    """The run folder; None where nothing was written."""
    info: dict[str, Any]
    """What run.json records: versions, device and data."""
    total_steps: int
    """Steps of the config's schedule, in all stages."""
    step: int = 0
    """Steps completed in all stages."""
    stage: StageProgress | None = None
    """The current stage, or the last one; None before the first step."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """The metrics of each logging interval, as in metrics.jsonl."""
    checkpoint: Checkpoint | None = None
    """The last state that was saved, where there is no run folder."""
    stop_event: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set by :meth:`stop` and by signals."""

    def __repr__(self) -> str:
        where = f", {self.path}" if self.path else ""
        return f"<Run {self.config.preset}, step {self.step} of {self.total_steps}{where}>"

    @property
    def seed(self) -> int:
        """Seed of all random numbers."""
        return self.config.seed

    @property
    def interrupted(self) -> bool:
        """Whether it ended before its last step; ``fit(resume=run)`` continues it."""
        return self.step < self.total_steps

    @property
    def metrics(self) -> dict[str, np.ndarray[Any, Any]]:
        """The metrics as arrays ``(reports,)``, by name; NaN where a stage does not have one.

        ``step``, ``stage`` and ``stage_step`` say when each report was made.
        """
        names = dict.fromkeys(name for record in self.records for name in record)
        return {name: np.array([record.get(name, np.nan) for record in self.records]) for name in names}

    @property
    def generator(self) -> Generator:
        """The generator that is exported: latents ``(N, dim)`` to images ``(N, C, H, W)``."""
        return self.networks.export_generator

    def infer(self, images: Tensor) -> QPosterior:
        """Return Q(c|x) of images ``(N, C, H, W)`` in the generator's range."""
        return self.networks.infer(images)

    def stop(self) -> None:
        """End the training after this step; its state is saved, and it can be resumed."""
        self.stop_event.set()
