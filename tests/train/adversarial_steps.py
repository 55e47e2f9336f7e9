"""An adversarial step of new networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from infogan_tool.train.engine.optimizer_step import OptimizerStep
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.step import AdversarialStep

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import TrainConfig


def make_step(config: TrainConfig, size: int = 28) -> tuple[AdversarialStep, torch.Generator]:
    rng = torch.Generator().manual_seed(0)
    networks = build_networks(config, size=size, channels=1)
    return AdversarialStep(networks, config, rng, OptimizerStep(rng.device)), rng
