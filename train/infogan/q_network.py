"""The Q network: Q(c|x), the approximate posterior of the codes given an image.

Q is a list of branches. A shared Q, as in the paper, is one branch: a head on D's trunk. A separate Q has
encoders of its own: one branch for the first categorical code, and one for all other codes. A first
categorical code that is learned by clustering, before there is a D, has an encoder of its own in both.

Shapes: N images, F features of a 1 x 1 map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.train.engine.layers import MapToVector
from infogan_tool.train.infogan.architectures import head_layers

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.architecture_registry import CheckedArchitecture


@dataclass(frozen=True, slots=True)
class QPosterior:
    """The parameters of Q(c|x) for N images."""

    logits: Tensor
    """``(N, num_logits)``: the logits of all categorical codes side by side."""
    mean: Tensor
    """``(N, continuous)``: means of the continuous codes."""
    log_var: Tensor
    """``(N, continuous)``: log-variances, between the config's bounds or one fixed value."""

    def float(self) -> QPosterior:
        """Return the parameters in float32."""
        return QPosterior(self.logits.float(), self.mean.float(), self.log_var.float())

    def all_gather(self, group: ProcessGroup, count: int) -> QPosterior:
        """Return the parameters for all ``count`` images of a batch, of which these are one shard."""
        return QPosterior(*group.all_gather(count, self.logits, self.mean, self.log_var))

    @classmethod
    def join(cls, parts: list[QPosterior]) -> QPosterior:
        """Concatenate the codes of several branches."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*((part.logits, part.mean, part.log_var) for part in parts), strict=True)
        return cls(*(torch.cat(column, dim=1) for column in columns))


class QBranch(nn.Module):
    """Layers to F features, and output layers for some of the codes.

    A learned log-variance is bounded by a sigmoid, which unlike a clamp always has a gradient. At a raw
    output of 0 and bounds of (-4, 2) the standard deviation is exp(-0.5) = 0.61, close to the prior's 0.58.

    Args:
        layers: From the branch's input to ``(N, F, 1, 1)``.
        width: F.
        num_logits: Number of categories of the branch's categorical codes together; 0: it has none.
        continuous: Number of its continuous codes.
        variance: Bounds of the log-variance, or one fixed variance for all continuous codes.
        periodic: Positions of the periodic ones among its continuous codes.
        reads_trunk: Whether the input is the features of D's trunk; else images.
    """

    def __init__(
        self,
        layers: list[nn.Module],
        width: int,
        *,
        num_logits: int,
        continuous: int,
        variance: tuple[float, float] | float,
        periodic: tuple[int, ...] = (),
        reads_trunk: bool = False,
    ) -> None:
        super().__init__()
        self.reads_trunk = reads_trunk
        self.layers = nn.Sequential(*layers)
        self.logits = MapToVector(width, num_logits, 1) if num_logits else None
        self.periodic = periodic if continuous else ()
        self.mean = MapToVector(width, continuous + len(self.periodic), 1) if continuous else None
        is_fixed = isinstance(variance, float)
        self.log_var = MapToVector(width, continuous, 1) if continuous and not is_fixed else None
        self.low, self.high = (math.log(variance),) * 2 if isinstance(variance, float) else variance

    def forward(self, inputs: Tensor) -> QPosterior:
        """Return the parameters of the branch's codes; those of absent ones have width 0."""
        features = self.layers(inputs)
        nothing = features.new_zeros(features.shape[0], 0)
        logits = self.logits(features).flatten(1) if self.logits is not None else nothing
        if self.mean is None:
            return QPosterior(logits, nothing, nothing)
        mean = style_means(self.mean(features).flatten(1), self.periodic)
        if self.log_var is None:
            return QPosterior(logits, mean, torch.full_like(mean, self.low))
        span = self.high - self.low
        log_var = self.low + span * torch.sigmoid(self.log_var(features).flatten(1))
        return QPosterior(logits, mean, log_var)


def style_means(outputs: Tensor, periodic: tuple[int, ...]) -> Tensor:
    """Return the means of continuous codes; that of a periodic code is the angle of two outputs.

    Args:
        outputs: ``(N, K + P)``: one of each of K codes, then a second one of each of the P periodic codes.
        periodic: Positions of the periodic codes among the K.

    Returns:
        ``(N, K)``; of periodic codes from -1 to 1, in half turns.
    """
    if not periodic:
        return outputs
    outputs = outputs.float()
    means, seconds = outputs[:, : -len(periodic)], outputs[:, -len(periodic) :]
    columns = list(means.unbind(1))
    for i, second in zip(periodic, seconds.unbind(1), strict=True):
        columns[i] = torch.atan2(second, columns[i]) / math.pi
    return torch.stack(columns, 1)


def q_branches(config: TrainConfig, architecture: CheckedArchitecture) -> list[QBranch]:
    """Return the branches of Q, in the order of the codes.

    Args:
        config: ``networks.q`` chooses between a head on D's trunk and separate encoders.
        architecture: Has the encoders, and the shape of the maps that the trunk returns.
    """
    nets, spec, shared = config.networks, config.latent, config.networks.q == "shared"
    first = spec.categorical[0] if spec.categorical and (not shared or config.uses_clustering) else 0
    parts = [
        (nets.q_features, {"num_logits": first, "continuous": 0}, False),
        (nets.q_width, {"num_logits": spec.num_logits - first, "continuous": spec.continuous}, shared),
    ]
    branches = []
    for width, codes, on_trunk in parts:
        if any(codes.values()):
            layers = (
                head_layers(nets, architecture.feature_shape) if on_trunk else [*architecture.encoder(width)]
            )
            variance, periodic = config.objective.variance, spec.periodic_columns
            branches.append(
                QBranch(layers, width, **codes, variance=variance, periodic=periodic, reads_trunk=on_trunk)
            )
    return branches
