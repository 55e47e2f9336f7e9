"""What a training returns: its networks, metrics and config, and the state that it can be resumed from."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from infogan_tool.runtime.latents.sampling import sample, traversal
from infogan_tool.train.engine.statistics import evaluation_mode

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from infogan_tool.runtime.latents.sampling import Latents, Traversal
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
        """The module that is exported: latents ``(N, dim)`` to images ``(N, C, H, W)``."""
        return self.networks.export_generator

    def sample(self, n: int, seed: int = 0) -> Latents:
        """Sample ``n`` latents from the prior, as :meth:`infogan_tool.runtime.Bundle.sample` does."""
        return sample(self.config.latent, n, seed)

    def traverse(
        self, code: str, *, seed: int = 0, low: float | None = None, high: float | None = None
    ) -> Traversal:
        """Return latents that vary one code, as :meth:`infogan_tool.runtime.Bundle.traverse` does."""
        return traversal(self.config.latent, code, seed=seed, low=low, high=high)

    def generate(self, latents: Latents) -> npt.NDArray[np.float32]:
        """Return the images of latents: float32 ``(N, C, H, W)`` in the range of ``networks.image``.

        A callback may call it while the training runs: no state of the networks changes.

        Raises:
            LatentError: The latents are not of the run's latent spec.
        """
        latents.check(self.config.latent)
        return self.networks.generate(latents)

    @torch.no_grad()
    def infer(self, images: Tensor | npt.NDArray[np.float32]) -> QPosterior:
        """Return Q(c|x) of images ``(N, C, H, W)`` in the range of ``networks.image``; no state changes."""
        inputs = torch.as_tensor(images, device=next(self.networks.parameters()).device)
        with evaluation_mode(self.networks):
            return self.networks.infer(inputs)

    def stop(self) -> None:
        """End the training after this step; its state is saved, and it can be resumed."""
        self.stop_event.set()
