"""Many processes, one training: what each computes, and what they tell each other.

The config's batch is that of all processes together. Everyone draws the order of the images, the latents
and the augmentation of the whole batch from the same seeded generator, and computes its own rows of it. What
the networks say of these rows, some numbers an image, is gathered, so that everyone has the loss of the
whole batch, and with it the same scalars and the same decision on values that are not finite. BatchNorm takes
its moments over the whole batch too (:mod:`infogan_tool.train.distributed.sync_batchnorm`). What is left is
to sum the
gradients before each update: then all weights move alike, as one process's would.

DistributedDataParallel is not used. The updates call parts of networks by turns: D runs twice before one
backward pass, which its buffers' broadcast does not survive (an in-place error), Q's parameters move with G
or with D, and an update leaves out the gradients that it does not need. One sum after each backward pass says
exactly what is added up, of exactly the parameters that move.
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

__all__ = ["SINGLE_PROCESS", "TIMEOUT", "ProcessGroup", "mixed_seed"]

TIMEOUT: Final = timedelta(minutes=30)
"""A process that is alive and says nothing for so long is given up; one that ends is noticed at once."""
_ASKED_EVERY: Final = 10
"""Steps on a GPU between two questions whether to stop, which make the host wait for the others."""

_CPU: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes of a training, as one of them sees it.

    Every process must call each method that speaks to the others at the same place. All of them do nothing
    in a process that is alone.

    Raises:
        PeerLostError: From every method that speaks: another process ended, or is silent.
    """

    rank: int = 0
    """This process's number."""
    size: int = 1
    """Number of processes."""
    device: torch.device = _CPU
    """Where this process computes, in a team of several."""
    local_rank: int = 0
    """This process's number on its machine."""
    job: str | None = None
    """What all starts and restarts by one torchrun have in common."""

    @property
    def is_single(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks to people; exactly one does."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return this process's rows of a batch of ``count``: as many as the others', or one more or less."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def all_gather(self, count: int, *parts: Tensor) -> tuple[Tensor, ...]:
        """Return the whole batch's rows of what each process has of its own rows.

        The gradient of what comes out of them reaches a process's own rows there; summed over processes, that
        is the gradient of the whole.

        Args:
            count: Rows of the whole batch.
            parts: ``(n, ...)`` each, of one type, n this process's rows.

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
        """Put the sum over all processes in the place of each one's gradients, in one message."""
        if self.is_single:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.all_reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(
            gradients, torch.split_with_sizes(flat, [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def all_reduce(self, values: Tensor) -> Tensor:
        """Put the sum over all processes into ``values`` and return it; no gradient goes through."""
        if not self.is_single:
            with _peer_errors():
                torch.distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is set in any process."""
        return flag if self.is_single else bool(self.all_reduce(torch.tensor(int(flag))))

    def any_at(self, step: int, flag: bool) -> bool:
        """Return the same, asked before step number ``step``; on a GPU asked at some steps only."""
        if not self.is_single and self.device.type == "cuda" and step % _ASKED_EVERY:
            return False
        return self.any(flag)

    def broadcast_json(self, values: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON-ready ``values`` of the process that leads; those of the others do not matter."""
        if self.is_single:
            return values
        text = json.dumps(values if self.is_main else None).encode()
        size = self.broadcast(torch.tensor(len(text)))
        content = torch.zeros(int(size), dtype=torch.uint8)
        if self.is_main:
            content.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        return json.loads(self.broadcast(content).numpy().tobytes())

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Put the tensor of the process that leads into the others' and return it."""
        if not self.is_single:
            whole = tensor.contiguous()  # other machines may have laid it out otherwise (layout.py)
            with _peer_errors():
                torch.distributed.broadcast(whole, src=0)
            if whole is not tensor:
                tensor.copy_(whole)
        return tensor

    def broadcast_tensors(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the named tensors of the process that leads, on the CPU; the others give none."""
        if self.is_single:
            return tensors
        kinds = {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in tensors.items()}
        shared = {}
        for name, (kind, shape) in self.broadcast_json(kinds).items():
            own = tensors[name] if self.is_main else torch.empty(shape, dtype=getattr(torch, kind))
            shared[name] = self.broadcast(own.cpu().contiguous())
        return shared

    def barrier(self) -> None:
        """Return when all are here."""
        self.any(flag=False)

    @contextmanager
    def fail_together(self) -> Iterator[None]:
        """End all alike where the block fails in any, on an error that a person is told.

        Raises:
            InfoganError, OSError: This process's own, if it is the first that failed.
            ReportedElsewhereError: Another one's, which tells it.
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
        """Say what is to be said before torchrun, which ends all as soon as one has ended, cuts in."""
        if not self.is_single and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


SINGLE_PROCESS: Final = ProcessGroup()
"""A training in one process."""


def mixed_seed(text: str) -> int:
    """Return a seed of a generator that looks unlike those of all other texts."""
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
    except RuntimeError as error:  # gloo's and NCCL's errors have no more in common
        silent = "imed out" in str(error)
        what = f"has been silent for {TIMEOUT.seconds // 60} minutes" if silent else "ended"
        raise PeerLostError(f"another process of this training {what}") from error
