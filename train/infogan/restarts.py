"""Restarts of adversarial training where continuous codes are mixed."""

from __future__ import annotations

import copy
import logging
import math
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from infogan_tool.runtime.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.objective import RestartConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Networks

_log: Final = logging.getLogger(__name__)


class Next(Enum):
    """What comes after a step."""

    CONTINUE = auto()
    RESTART = auto()
    GO_BACK = auto()
    """To the end of the best start."""


class Restarts(nn.Module):
    """The step in which adversarial training began, and whether it is restarted; part of its checkpoints.

    A periodic code takes something round a whole number of times, and so do two that take it round together.
    Small changes of G do not lead from there to codes that have one thing each, so that it is luck of the
    start. The Hessian penalty tells after few steps which it is, without labels.

    Args:
        config: When to restart.
        steps: Length of adversarial training.
        networks: On their device.
        group: The processes of the training; the main one decides.
    """

    begun: Tensor
    """Index of the first step since the last start, on the CPU."""
    number: Tensor
    """Restarts so far, on the CPU."""
    total: Tensor
    """Sum of the penalties that count."""
    least: Tensor
    """Mean of the penalties of the best start, on the CPU."""

    def __init__(self, config: RestartConfig, steps: int, networks: Networks, group: ProcessGroup) -> None:
        super().__init__()
        self._config, self._group = config, group
        self._length = max(round(config.after * steps), 1)
        self._counted_from = self._length // 2
        device = next(networks.parameters()).device
        self.register_buffer("begun", torch.zeros((), dtype=torch.long))
        self.register_buffer("number", torch.zeros((), dtype=torch.long))
        self.register_buffer("total", torch.zeros((), dtype=torch.float64, device=device))
        self.register_buffer("least", torch.full((), math.inf, dtype=torch.float64))
        self.best = copy.deepcopy(networks).requires_grad_(requires_grad=False)
        """The networks after the best start."""

    def first_step(self, index: int) -> int:
        """Return the index of the first step of the start that step ``index`` belongs to.

        Raises:
            RunError: The checkpoint that was read has another one than there can be.
        """
        begun = int(self.begun)
        if not 0 <= begun <= index:
            raise RunError(f"the checkpoint is damaged: step {index} is not after a start at step {begun}")
        return begun

    def add(self, index: int, penalty: Tensor, networks: Networks) -> Next:
        """Count the Hessian penalty of step ``index``, and decide at the end of a start."""
        done = index + 1 - int(self.begun)
        if done > self._length:
            return Next.CONTINUE
        if done > self._counted_from:
            self.total += penalty
        if done < self._length:
            return Next.CONTINUE
        mean = float(self._group.broadcast(self.total / (self._length - self._counted_from)))
        self.total.zero_()
        if mean < self.least:
            self.least.fill_(mean)
            self.best.load_state_dict(networks.state_dict())
        if mean <= self._config.above:
            return Next.CONTINUE
        if int(self.number) < self._config.times:
            self.begun.fill_(index + 1)
            self.number += 1
            self._tell(index, mean, f"start {int(self.number) + 1}")
            return Next.RESTART
        if mean == self.least:
            self._tell(index, mean, "continuing, since no start was better")
            return Next.CONTINUE
        self.begun.fill_(index + 1 - self._length)
        self._tell(index, mean, f"continuing the best start (penalty {float(self.least):.2f})")
        return Next.GO_BACK

    def _tell(self, index: int, mean: float, what: str) -> None:
        if self._group.is_main:
            _log.info(
                "step %d: continuous codes are mixed (Hessian penalty %.2f, above %g): %s",
                index + 1,
                mean,
                self._config.above,
                what,
            )
