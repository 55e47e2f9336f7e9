"""Q(c|x): the posterior's parameters, and the branches of network that give them.

Q is a list of branches. A shared Q is one branch on the trunk's features, the head of the paper. A separate Q
has branches of its own on the images: one for the first categorical code, one for all other codes.

Shapes: N images, F features of a 1 x 1 map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.train.infogan.layers import MapToVector

if TYPE_CHECKING:
    from infogan_tool.train.distributed.process_group import ProcessGroup

__all__ = ["QBranch", "QPosterior"]


@dataclass(frozen=True, slots=True)
class QPosterior:
    """The parameters of Q(c|x) for N images."""

    logits: Tensor
    """``(N, num_logits)``: the logits of all categorical codes side by side."""
    mean: Tensor
    """``(N, continuous)``: means of the continuous codes."""
    log_var: Tensor
    """``(N, continuous)``: log-variances, inside the config's bounds or all the same."""

    def float(self) -> QPosterior:
        """Return the parameters in float32."""
        return QPosterior(self.logits.float(), self.mean.float(), self.log_var.float())

    def all_gather(self, group: ProcessGroup, count: int) -> QPosterior:
        """Return the parameters for all ``count`` images of a batch of which these are one process's."""
        return QPosterior(*group.all_gather(count, self.logits, self.mean, self.log_var))

    @classmethod
    def join(cls, parts: list[QPosterior]) -> QPosterior:
        """Put the codes of several branches side by side."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*((part.logits, part.mean, part.log_var) for part in parts), strict=True)
        return cls(*(torch.cat(column, dim=1) for column in columns))


class QBranch(nn.Module):
    """Layers to F features, and heads for some of the codes.

    A learned variance goes through exp, as in the paper; its logarithm first through a sigmoid between two
    bounds, which unlike a clamp leaves a gradient to come back by. At a raw output of 0 and bounds of (-4, 2)
    the standard deviation is exp(-0.5) = 0.61, close to the prior's 0.58.

    Args:
        layers: From the branch's input to ``(N, F, 1, 1)``.
        width: F.
        num_logits: Number of categories of the branch's categorical codes together; 0: it has none.
        continuous: Number of its continuous codes.
        variance: Bounds of the log-variance, or the one variance that all continuous codes have.
    """

    def __init__(
        self,
        layers: list[nn.Module],
        width: int,
        *,
        num_logits: int,
        continuous: int,
        variance: tuple[float, float] | float,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.logits = MapToVector(width, num_logits, 1) if num_logits else None
        self.mean = MapToVector(width, continuous, 1) if continuous else None
        learns = not isinstance(variance, float)
        self.log_var = MapToVector(width, continuous, 1) if continuous and learns else None
        self.low, self.high = (math.log(variance),) * 2 if isinstance(variance, float) else variance

    def forward(self, inputs: Tensor) -> QPosterior:
        """Return the parameters of the branch's codes; those of absent ones have width 0."""
        features = self.layers(inputs)
        nothing = features.new_zeros(features.shape[0], 0)
        logits = self.logits(features).flatten(1) if self.logits is not None else nothing
        if self.mean is None:
            return QPosterior(logits, nothing, nothing)
        mean = self.mean(features).flatten(1)
        if self.log_var is None:
            return QPosterior(logits, mean, torch.full_like(mean, self.low))
        span = self.high - self.low
        log_var = self.low + span * torch.sigmoid(self.log_var(features).flatten(1))
        return QPosterior(logits, mean, log_var)
