"""Several processes, one training: how a batch is split, and what the processes exchange.

The config's batch size is that of all processes together. Each process draws the order of images, latents and
augmentation of the whole batch from the same seeded generator, and computes its own shard of it. The outputs
of the networks, a few numbers an image, are gathered, so that every process has the loss of the whole batch:
the same scalars, and the same decision on values that are not finite. BatchNorm takes its moments over the
whole batch too (:mod:`infogan_tool.train.distributed.sync_batchnorm`). Before each update the gradients are
summed. All weights then move as in one process, up to rounding.

DistributedDataParallel does not fit. An update calls parts of networks in turn: D runs twice before one
backward pass, which DDP's broadcast of buffers does not allow (an in-place error); Q's parameters move with G
or with D; and an update leaves out gradients that it does not need. One explicit sum after each backward pass
covers exactly the parameters that move.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import InfoganError, PeerLostError, ReportedElsewhereError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIMEOUT: Final = timedelta(minutes=30)
"""For a process that is alive and does not answer. A process that ends is noticed at once."""
_STOP_INTERVAL: Final = 10
"""Steps on a GPU between two checks of the stop flag, at which the host waits for the other processes."""

_CPU: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes of a training.

    Methods that communicate are collective: every process must call them in the same order. In a single
    process they do nothing.

    Raises:
        PeerLostError: From each collective method: another process ended, or does not answer.
    """

    rank: int = 0
    """Index of this process."""
    size: int = 1
    """Number of processes."""
    device: torch.device = _CPU
    """This process's device, if there are several processes."""
    local_rank: int = 0
    """Index of this process on its machine."""
    job: str | None = None
    """Identifies the torchrun that started this process; its restarts have the same."""

    @property
    def is_single(self) -> bool:
        """Whether there is only one process."""
        return self.size == 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes files and messages."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return this process's rows of a batch of ``count``; the sizes of shards differ by at most 1."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def all_gather(self, count: int, *parts: Tensor) -> tuple[Tensor, ...]:
        """Gather the shards of all processes into whole batches; differentiable.

        The gradient of a whole batch is passed on to this process's shard. Summed over the processes, these
        are the gradient of the whole.

        Args:
            count: Rows of the whole batch.
            parts: Shards ``(n, ...)`` of one dtype.

        Returns:
            ``(count, ...)`` each, the same in all processes.
        """
        if self.is_single:
            return parts
        widths = [math.prod(part.shape[1:]) for part in parts]
        packed = torch.cat([p.reshape(len(p), w) for p, w in zip(parts, widths, strict=True)], dim=1)
        whole = cast("Tensor", _Gather.apply(packed, count, self))
        columns = torch.split_with_sizes(whole, widths, dim=1)
        return tuple(c.reshape(count, *p.shape[1:]) for c, p in zip(columns, parts, strict=True))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sum over all processes, in one message."""
        if self.is_single:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.all_reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(
            gradients, torch.split_with_sizes(flat, [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def all_reduce(self, values: Tensor) -> Tensor:
        """Replace ``values`` by their sum over all processes, and return them; not differentiable."""
        if not self.is_single:
            with _peer_errors():
                torch.distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is set in any process."""
        return flag if self.is_single else bool(self.all_reduce(torch.tensor(int(flag))))

    def any_at(self, step: int, flag: bool) -> bool:
        """Return :meth:`any` before step number ``step``; on a GPU only every tenth step, else False."""
        if not self.is_single and self.device.type == "cuda" and step % _STOP_INTERVAL:
            return False
        return self.any(flag)

    def broadcast_json(self, values: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the main process's JSON-ready ``values``."""
        if self.is_single:
            return values
        text = json.dumps(values if self.is_main else None).encode()
        size = self.broadcast(torch.tensor(len(text)))
        content = torch.zeros(int(size), dtype=torch.uint8)
        if self.is_main:
            content.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        return json.loads(self.broadcast(content).numpy().tobytes())

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Overwrite the tensor with the main process's, and return it."""
        if not self.is_single:
            whole = tensor.contiguous()  # memory formats differ between machines (engine/memory_format.py)
            with _peer_errors():
                torch.distributed.broadcast(whole, src=0)
            if whole is not tensor:
                tensor.copy_(whole)
        return tensor

    def broadcast_tensors(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the main process's named tensors, on the CPU; the others pass none."""
        if self.is_single:
            return tensors
        kinds = {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()}
        shared = {}
        for name, (kind, shape) in self.broadcast_json(kinds).items():
            own = tensors[name] if self.is_main else torch.empty(shape, dtype=getattr(torch, kind))
            shared[name] = self.broadcast(own.cpu().contiguous())
        return shared

    def barrier(self) -> None:
        """Wait for all processes."""
        self.any(flag=False)

    @contextmanager
    def fail_together(self) -> Iterator[None]:
        """Fail in all processes if the block fails in any of them; the first of these reports its error.

        Raises:
            InfoganError, OSError: The error of this process, if it reports it.
            ReportedElsewhereError: Another process reports its error.
        """
        if self.is_single:
            yield
            return
        failure = None
        try:
            yield
        except PeerLostError:
            raise
        except (InfoganError, OSError) as error:
            failure = error
        codes = torch.zeros(self.size, dtype=torch.int64)
        if failure is not None:
            codes[self.rank] = failure.exit_code if isinstance(failure, InfoganError) else 1
        failed = self.all_reduce(codes).nonzero().flatten().tolist()
        if failed:
            self.ignore_sigterm()
        if failed and failed[0] != self.rank:
            raise ReportedElsewhereError(int(codes[failed[0]])) from failure
        if failure is not None:
            raise failure

    def ignore_sigterm(self) -> None:
        """Ignore SIGTERM from now on: torchrun sends it once any process ends, even before the message."""
        if not self.is_single and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


SINGLE_PROCESS: Final = ProcessGroup()
"""The group of a training in one process."""


def mixed_seed(text: str) -> int:
    """Return a seed derived from a hash of ``text``."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int, group: ProcessGroup) -> Tensor:  # noqa: ANN401 - autograd's
        ctx.rows = group.shard(count)
        whole = own.new_zeros(count, own.shape[1])
        whole[ctx.rows] = own
        return group.all_reduce(whole)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - autograd's
        return gradients[0][ctx.rows], None, None


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # the only class that errors of gloo and NCCL share
        timed_out = "imed out" in str(error)
        what = f"did not answer for {TIMEOUT.seconds // 60} minutes" if timed_out else "ended"
        raise PeerLostError(f"another process of this training {what}") from error
