"""The last stage: Q learns to read the images that will be drawn, in the form in which it will read them.

During the game Q follows a generator that moves, and normalises by the batch. What is exported is an average
of that generator, and a Q that normalises by running statistics. Each differs a little from what was trained,
and together enough to bias a style. So G's average now stands still and draws, everything is in evaluation
mode, and the branches of Q that learned in the game learn on, by L_I alone, through the noise of the game.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.optim.swa_utils import update_bn

from infogan_tool.train.clustering.schedule import CycledAdam
from infogan_tool.train.engine.stage import Session, Stage
from infogan_tool.train.infogan.augment import add_noise
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import code_nll, entropy_vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from infogan_tool.train.config.schema import ConsolidationConfig, TrainConfig

__all__ = ["ConsolidationStage"]

_LOOKS: Final = 200
"""Batches from which BatchNorm's statistics of the averaged generator are taken."""


class ConsolidationStage(Stage):
    """Maximise L_I over Q's learning branches on images of the generator that draws."""

    name = "consolidation"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config, networks = session.config, session.networks.eval()
        if networks.averaged is not None:
            # Averaged weights have other statistics than the average of theirs (arXiv:1803.05407, section 3).
            update_bn(self._latents(_LOOKS), networks.averaged)
        self._entropies = entropy_vector(config.latent, session.device)
        first = 1 if config.uses_clustering else 0
        parameters = [p for branch in networks.branches[first:] for p in branch.parameters()]
        steps, rate = _config(config).steps, _config(config).learning_rate
        self._adam = CycledAdam(parameters, rate, steps, self)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the schedule's batch size."""
        return config.schedule.batch_size

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the config's steps; they see no real image."""
        return _config(config).steps

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the bound's names."""
        return [*(f"MI/{name}" for name in config.latent.code_names), "MI/lower_bound"]

    def step(self, index: int) -> None:
        """Draw images and read their codes."""
        networks = self.session.networks
        latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        with torch.no_grad(), self._adam.autocast():
            images = networks.drawing(latent.rows(self.shard).vector()).float()
        noise = self.session.config.q_noise
        images = add_noise(images, noise, self.rng, count=self.batch_size, rows=self.shard)
        with self._adam.autocast():
            posterior = networks.infer(images).float().all_gather(self.group, self.batch_size)
        nll = code_nll(posterior, latent)
        self._adam.update(index, {"Loss/Q": nll.sum()})
        bounds = self._entropies - nll.detach()
        self.meters.add(torch.cat([bounds, bounds.sum().reshape(1)]))

    def _latents(self, count: int) -> Iterator[Tensor]:
        rng = torch.Generator(self.session.device).manual_seed(self.seed)
        for _ in range(count):
            latent = sample_latents(self.session.config.latent, self.batch_size, rng)
            yield latent.rows(self.shard).vector()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"adam": self._adam.optimizer}


def _config(config: TrainConfig) -> ConsolidationConfig:
    assert config.consolidation is not None
    return config.consolidation
