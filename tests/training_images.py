"""A training on images in memory, planned without the checks and the loading of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from infogan_tool.train.data.source import TrainingData
from infogan_tool.train.run.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig


def planned(config: TrainConfig, images: Tensor) -> Plan:
    """Plan to train on images (N, C, H, W) uint8, on the CPU."""
    data = TrainingData(images=images, name="mnist", block=None)
    return Plan(config=config, data=data, device=torch.device("cpu"))
