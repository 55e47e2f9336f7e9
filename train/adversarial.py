"""The adversarial stage: InfoGAN's game, min over G and Q, max over D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train.latents import LatentBatch, sample_latents
from infogan_tool.train.sheets import write_sample_sheet
from infogan_tool.train.stage import Session, Stage, whole_batches
from infogan_tool.train.updates import Updates, metric_names

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from infogan_tool.train.config import TrainConfig

__all__ = ["AdversarialStage"]


class AdversarialStage(Stage):
    """One D update and one G and Q update on each batch; see :mod:`infogan_tool.train.updates`."""

    name = "adversarial"
    draws = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.updates = Updates(session.networks, session.config, self.rng)
        self._latent: LatentBatch | None = None

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the schedule's steps, or its epochs in steps."""
        schedule = config.schedule
        return schedule.steps or schedule.epochs * whole_batches(count, schedule.batch_size)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the schedule's batch size."""
        return config.schedule.batch_size

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of :meth:`Updates.step`'s scalars."""
        return metric_names(config.latent)

    def step(self, index: int) -> None:
        """Draw latents, then update D, then G and Q."""
        real = self.session.pictures(self.batch(index))
        self._latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        self.meters.add(self.updates.step(real, self._latent))

    def scalars(self) -> dict[str, float]:
        """Return the means, and D's score of the last latents' pictures as G draws them after its update."""
        assert self._latent is not None
        return {**super().scalars(), "Scores/fake_after_g": float(self.updates.fake_score(self._latent))}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return D's and G's."""
        return {"d_optimizer": self.updates.d_optimizer, "g_optimizer": self.updates.g_optimizer}

    def write_samples(self, path: Path) -> None:
        """Write the sheet of fixed latents beside real pictures."""
        session = self.session
        write_sample_sheet(path, session.networks, session.images, seed=session.config.seed)
