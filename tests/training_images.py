"""Images in memory as a training takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train.data.source import TrainingData

if TYPE_CHECKING:
    from torch import Tensor


def in_memory(images: Tensor, name: str = "mnist") -> TrainingData:
    """Wrap images (N, C, H, W) uint8."""
    return TrainingData(images=images, name=name, block=None)
