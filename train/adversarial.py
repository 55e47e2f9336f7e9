"""The adversarial stage: InfoGAN's game, min over G and Q, max over D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train.captured import CapturedStep
from infogan_tool.train.drawing import DrawingStage
from infogan_tool.train.latents import LatentBatch, sample_latents
from infogan_tool.train.updates import Updates, metric_names

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from infogan_tool.train.config import TrainConfig
    from infogan_tool.train.stage import Session

__all__ = ["AdversarialStage"]


class AdversarialStage(DrawingStage):
    """The updates of D, G and Q on each batch; see :mod:`infogan_tool.train.updates`."""

    name = "adversarial"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.updates = Updates(session.networks, session.config, self.rng, self.descent)
        self._latent: LatentBatch | None = None
        self._take = CapturedStep(self._step, self.rng) if session.captures else self._step

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of :meth:`Updates.step`'s scalars."""
        return metric_names(config.latent)

    def step(self, index: int) -> None:
        """Draw latents, then do every update."""
        self.meters.add(self._take(self.batch(index)[self.rows]))

    def _step(self, index: Tensor) -> Tensor:
        real = self.session.pictures(index)
        self._latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        return self.updates.step(real, self._latent)

    def scalars(self) -> dict[str, float]:
        """Return the means, and D's score of the last latents' pictures as G draws them after its update."""
        assert self._latent is not None
        return {**super().scalars(), "Scores/fake_after_g": float(self.updates.fake_score(self._latent))}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return D's and G's, and that of L_I's own update where it has one."""
        return self.updates.optimizers
