"""Consolidation: after adversarial training Q is fitted to the generator that is exported.

During adversarial training Q follows a changing generator and normalises by batch statistics. What is
exported is an EMA of that generator, and a Q that normalises by running statistics. The differences are
small, and together enough to bias a style. So in this stage the exported generator is frozen, all networks
are in evaluation mode, and the branches of Q that adversarial training moved maximise L_I alone, with the
same noise on their input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.optim.swa_utils import update_bn

from infogan_tool.train.engine.optimizer_step import OneCycleAdamW, trainable_parameters
from infogan_tool.train.engine.stage import Session, Stage
from infogan_tool.train.infogan.augment import add_noise
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import code_entropies, code_nll, mutual_information_bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from infogan_tool.train.config.schema import ConsolidationConfig, TrainConfig

_BN_BATCHES: Final = 200
"""Batches of generated images from which the exported generator's BatchNorm statistics are computed."""


class ConsolidationStage(Stage):
    """Maximise L_I over the trainable branches of Q, on images of the exported generator."""

    name = "consolidation"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config, networks = session.config, session.networks.eval()
        if networks.generator_ema is not None:
            # Averaged weights need statistics of their own: arXiv:1803.05407, section 3.
            update_bn(self._latents(_BN_BATCHES), networks.generator_ema)
        if config.uses_clustering:
            networks.freeze_q_category()
        networks.trunk.requires_grad_(False)  # else its gradients would be computed, and not used
        self._entropies = code_entropies(config.latent, session.device)
        steps, rate = _config(config).steps, _config(config).learning_rate
        self._adam = OneCycleAdamW(trainable_parameters(networks.q), rate, steps, self.optimizer_step)
        self.optimizers = {"adam": self._adam.optimizer}

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the schedule's batch size."""
        return config.schedule.batch_size

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the config's steps; no real images are used."""
        return _config(config).steps

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the bound's names."""
        return [*(f"MI/{name}" for name in config.latent.code_names), "MI/lower_bound"]

    def read_ahead(self, start: int, stop: int) -> None:
        """Do nothing: no real images are used."""

    def step(self, index: int) -> None:
        """Generate images and infer their codes."""
        networks = self.session.networks
        latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        with torch.no_grad(), self.autocast():
            images = networks.export_generator(latent[self.shard].vector()).float()
        noise = self.session.config.q_noise
        images = add_noise(images, noise, self.rng, count=self.batch_size, shard=self.shard)
        with self.autocast():
            posterior = networks.infer(images).float().all_gather(self.group, self.batch_size)
        nll = code_nll(posterior, latent)
        self._adam.step(index, {"Loss/Q": nll.sum()})
        bounds = mutual_information_bound(nll.detach(), self._entropies)
        self.meters.add(torch.cat([bounds, bounds.sum().reshape(1)]))

    def _latents(self, count: int) -> Iterator[Tensor]:
        rng = torch.Generator(self.session.device).manual_seed(self.seed)
        for _ in range(count):
            latent = sample_latents(self.session.config.latent, self.batch_size, rng)
            yield latent[self.shard].vector()


def _config(config: TrainConfig) -> ConsolidationConfig:
    assert config.consolidation is not None
    return config.consolidation
