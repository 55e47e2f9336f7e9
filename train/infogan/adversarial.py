"""The adversarial stage: InfoGAN's game, min over G and Q, max over D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.train.engine.cuda_graph import CapturedStep
from infogan_tool.train.infogan.generator_stage import DrawingStage
from infogan_tool.train.infogan.latents import LatentBatch, sample_latents
from infogan_tool.train.infogan.step import Updates, metric_names

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session

__all__ = ["AdversarialStage"]

_CHUNK: Final = 1000
"""Images that Q reads at a time before the game."""


class AdversarialStage(DrawingStage):
    """The updates of D, G and Q on each batch; see :mod:`infogan_tool.train.infogan.step`."""

    name = "adversarial"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.updates = Updates(session.networks, session.config, self.rng, self.descent)
        self._steps = self.count_steps(session.config, len(session.images))
        self._latent: LatentBatch | None = None
        self._found = self._find_categories() if session.config.num_conditions else None
        self._take = CapturedStep(self._step, self.rng) if session.captures else self._step

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of :meth:`Updates.step`'s scalars."""
        return metric_names(config.latent)

    def step(self, index: int) -> None:
        """Draw latents, then do every update."""
        self.updates.pace(index / self._steps)
        self.meters.add(self._take(self.batch(index)[self.shard]))
        self.session.networks.average_generator(index)

    def _step(self, index: Tensor) -> Tensor:
        real, found = self.session.float_images(index), None if self._found is None else self._found[index]
        self._latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        return self.updates.step(real, self._latent, found)

    @torch.no_grad()
    def _find_categories(self) -> Tensor:
        """Return the category that Q reads in each image, which does not change in this stage."""
        branch = self.session.networks.branches[0]
        chunks = self.session.in_chunks(_CHUNK)
        return torch.cat([branch(images).logits.argmax(dim=1) for images in chunks])

    def scalars(self) -> dict[str, float]:
        """Return the means, and D's score of the last latents' images as G draws them after its update."""
        assert self._latent is not None
        return {**super().scalars(), "Scores/fake_after_g": float(self.updates.fake_score(self._latent))}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return D's and G's, and that of L_I's own update where it has one."""
        return self.updates.optimizers
