"""What the posterior's stages that learn share: their length, and AdamW on a one-cycle learning rate."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from infogan_tool.train.engine.stage import Stage, autocast, whole_batches

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

__all__ = ["CycledAdam", "LearningStage"]

_WARM: Final = 0.1
_LEAST: Final = 0.02
"""The rate rises over the first tenth of the steps, from a fiftieth, and falls as a cosine to 0."""


class LearningStage(Stage):
    """A stage of the posterior that learns on batches for some epochs."""

    @classmethod
    @abstractmethod
    def epochs_of(cls, config: TrainConfig) -> float:
        """Return the passes over the data."""

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the posterior stages' batch size."""
        assert config.clustering is not None
        return config.clustering.batch_size

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the stage's epochs in steps."""
        return round(cls.epochs_of(config) * whole_batches(count, cls.batch_size_of(config)))


class CycledAdam:
    """AdamW whose learning rate is a function of the step alone, so that a resumed run needs no record of it.

    Args:
        parameters: What it moves.
        rate: Greatest learning rate.
        steps: Steps of the stage.
        stage: Whose they are: its precision, and how parameters move.
    """

    def __init__(self, parameters: list[nn.Parameter], rate: float, steps: int, stage: Stage) -> None:
        self._parameters, self._rate, self._steps = parameters, rate, steps
        self._precision, self._descent = stage.session.config.precision, stage.descent
        self.optimizer = torch.optim.AdamW(parameters, rate, (0.9, 0.99), weight_decay=1e-4, fused=True)

    def autocast(self) -> torch.autocast:
        """Return the context of a forward pass."""
        return autocast(self._parameters[0].device, self._precision)

    def update(self, index: int, terms: dict[str, Tensor]) -> None:
        """Do update number ``index`` on the sum of ``terms``.

        Raises:
            NonFiniteError: A term or a gradient is not finite; nothing was updated.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * self._cycle(index)
        self._descent.update(self.optimizer, torch.stack(list(terms.values())).sum(), terms, self._parameters)

    def _cycle(self, index: int) -> float:
        place = index / max(self._steps, 1)
        if place < _WARM:
            return max(place / _WARM, _LEAST)
        return 0.5 * (1 + math.cos(math.pi * (place - _WARM) / (1 - _WARM)))
