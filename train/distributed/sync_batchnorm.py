"""BatchNorm over the batch of all processes.

With statistics of each process's shard, the numbers of a run would depend on the number of processes, D could
tell real from generated images by the moments of ever smaller batches, and the exported running statistics
would be those of one shard. torch's SyncBatchNorm works on GPUs only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from infogan_tool.train.distributed.process_group import ProcessGroup


def convert_sync_batchnorm(module: nn.Module, group: ProcessGroup) -> None:
    """Replace each BatchNorm in ``module`` by a :class:`SyncBatchNorm` with the same tensors."""
    if group.is_single:
        return
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            setattr(module, name, SyncBatchNorm(child, group))
        else:
            convert_sync_batchnorm(child, group)


class SyncBatchNorm(nn.BatchNorm2d):
    """A BatchNorm with mean and variance over the shards of all processes, for inputs of any dimension.

    Args:
        norm: Source of parameters and buffers, which are shared.
        group: The processes.
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, group: ProcessGroup) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        self._group = group
        self._parameters, self._buffers = norm._parameters, norm._buffers  # noqa: SLF001 - the same tensors
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalise a shard ``(n, C, ...)``."""
        if not self.training:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        mean, variance, count = self._moments(input)
        if self.track_running_stats:
            self._update_running_stats(mean, variance * count / (count - 1))
        mean, variance = mean.float(), variance.float()
        weight = self.weight if self.affine else torch.ones_like(mean)
        bias = self.bias if self.affine else torch.zeros_like(mean)
        normalised = _Normalise.apply(input, weight, bias, mean, variance, count, self.eps, self._group)
        return cast("Tensor", normalised)

    @torch.no_grad()
    def _moments(self, shard: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and variance ``(C,)``, and the number of values of a channel, in double."""
        over = [0, *range(2, shard.ndim)]
        variance, mean = (m.double() for m in torch.var_mean(shard.float(), over, correction=0))
        own_count = shard.numel() // shard.shape[1]
        sums = torch.cat([mean, variance + mean.square(), mean.new_ones(1)]) * own_count
        sums = self._group.all_reduce(sums)
        count = sums[-1]
        mean, square = (sums[:-1] / count).chunk(2)
        return mean, (square - mean.square()).clamp_min(0), count

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        weight = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.float(), weight)
        self.running_var.lerp_(variance.float(), weight)


class _Normalise(torch.autograd.Function):
    """Normalisation by moments of all shards, with the gradient through the moments."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd's
        ctx: Any,  # noqa: ANN401
        rows: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
        group: ProcessGroup,
    ) -> Tensor:
        ctx.save_for_backward(rows, weight, mean, variance, count)
        ctx.eps, ctx.group = eps, group
        return F.batch_norm(rows, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, weight, mean, variance, count = ctx.saved_tensors
        # The sums over this shard of dy * normalised, and of dy.
        _, weighted, plain = torch.ops.aten.native_batch_norm_backward(
            gradients[0], rows, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
        )
        sums = ctx.group.all_reduce(torch.cat([weighted, plain]).double()) / count
        through_variance, through_mean = sums.float().chunk(2)
        scale = torch.rsqrt(variance + ctx.eps)
        slope = -weight * through_variance * scale.square()
        offset = -weight * through_mean * scale - slope * mean
        shape = (1, -1, *[1] * (rows.ndim - 2))
        through_moments = torch.addcmul(offset.view(shape), rows, slope.view(shape))
        gradient = through_moments.addcmul_(gradients[0], (weight * scale).view(shape))
        return gradient.to(rows.dtype), weighted, plain, None, None, None, None, None
