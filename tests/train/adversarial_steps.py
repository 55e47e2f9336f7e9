"""An adversarial step of new networks, its updates and their inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from infogan_tool.train.engine.optimizer_step import OptimizerStep
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.step import AdversarialStep, Batch

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.schemes import Update


def make_step(config: TrainConfig, size: int = 28) -> tuple[AdversarialStep, torch.Generator]:
    rng = torch.Generator().manual_seed(0)
    networks = build_networks(config, size=size, channels=1)
    return AdversarialStep(networks, config, rng, OptimizerStep(rng.device)), rng


def make_batch(step: AdversarialStep, latent: LatentBatch, real: Tensor | None = None) -> Batch:
    fake = step.networks.generator(latent.vector())
    return Batch(torch.empty(0) if real is None else real, fake, latent)


def named(step: AdversarialStep, name: str) -> Update:
    """The update of that name in the config's scheme."""
    return next(update for update in step.scheme if update.name == name)
