"""Joining the processes that torchrun started: its environment variables, and the rendezvous."""

from __future__ import annotations

import os
import socket
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.runtime.errors import DeviceError, RunError, UsageError
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train.distributed.device import select_device
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, TIMEOUT, ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch.distributed.distributed_c10d import Store

_MAX_PORT: Final = 65535
_MAX_PROCESSES: Final = 1_000_000
_RENDEZVOUS_TIMEOUT: Final = timedelta(minutes=5)
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class TorchrunEnvironment:
    """The values of torchrun's environment variables for this process."""

    rank: int
    """Index among all processes."""
    size: int
    """Number of processes."""
    local_rank: int
    """Index on this machine, which is also that of the GPU."""
    local_size: int
    """Number of processes on this machine."""
    job: str | None
    """Identifies the torchrun; its restarts have the same."""


def read_environment(variables: Mapping[str, str]) -> TorchrunEnvironment | None:
    """Read torchrun's environment variables; None if they are not set.

    Raises:
        UsageError: They are incomplete or inconsistent.
    """
    if not {"RANK", "WORLD_SIZE"} & variables.keys():
        return None
    size = _number(variables, "WORLD_SIZE", 1, _MAX_PROCESSES)
    rank = _number(variables, "RANK", 0, size - 1)
    local_size = _number(variables, "LOCAL_WORLD_SIZE", 1, size, default=size)
    local_rank = _number(variables, "LOCAL_RANK", 0, local_size - 1, default=None if size > 1 else 0)
    if size > 1:
        _number(variables, "MASTER_PORT", 1, _MAX_PORT)
        if not variables.get("MASTER_ADDR"):
            raise _invalid("MASTER_ADDR is not set")
    job = variables.get("TORCHELASTIC_RUN_ID")
    if job == "none":  # every torchrun without --rdzv-id has this id; it starts all processes itself
        job = f"{socket.gethostname()} {os.getppid()}"
    return TorchrunEnvironment(rank=rank, size=size, local_rank=local_rank, local_size=local_size, job=job)


def _number(
    variables: Mapping[str, str], name: str, least: int, most: int, default: int | None = None
) -> int:
    text = variables.get(name)
    if text is None:
        if default is None:
            raise _invalid(f"{name} is not set")
        return default
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        raise _invalid(f"{name} is '{text:.40}', not a number from {least} to {most}")
    return int(text)


def _invalid(what: str) -> UsageError:
    return UsageError(
        f"the environment variables are not those of torchrun: {what}; start with "
        "torchrun -m infogan_tool train ..., or unset RANK and WORLD_SIZE to train in one process"
    )


def has_restarts(variables: Mapping[str, str]) -> bool:
    """Return whether torchrun restarts this command when one of its processes fails."""
    return variables.get("TORCHELASTIC_MAX_RESTARTS", "0").strip() != "0"


_joined: Final[list[TorchrunEnvironment]] = []
"""Groups that this process has joined."""


def has_joined() -> bool:
    """Return whether this process has been one of several."""
    return bool(_joined)


@contextmanager
def join_process_group(device: str, threads: int | None) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, if it did, while the block runs.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``; process i of a machine takes GPU i.
        threads: CPU threads of this process; None: its part of the cores.

    Raises:
        UsageError: torchrun's environment variables are incomplete or inconsistent.
        DeviceError: There are fewer GPUs than processes.
        RunError: The other processes cannot be reached.
    """
    environment = read_environment(os.environ)
    if environment is None or environment.size == 1:
        yield ProcessGroup(job=environment.job) if environment else SINGLE_PROCESS
        return
    if not torch.distributed.is_available():
        raise UsageError("this torch cannot train in several processes: start the command without torchrun")
    own_device = _select_own_device(environment, device, threads)
    rank, size = environment.rank, environment.size
    backend = "cpu:gloo,cuda:nccl" if own_device.type == "cuda" else "gloo"
    try:
        store = _open_store(rank, size)
        torch.distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"process {rank} of {size} cannot reach the others: {reason:.200}") from error
    _joined.append(environment)
    group = ProcessGroup(
        rank=rank, size=size, device=own_device, local_rank=environment.local_rank, job=environment.job
    )
    group.barrier()  # a process that ended at once, with its store, would fail those that still join
    yield group
    torch.distributed.destroy_process_group()  # not after an error, when other processes may have ended


def _open_store(rank: int, size: int) -> Store:
    """Return a store that only the processes of this start use.

    torchrun keeps one store over its restarts, with the addresses of processes that have ended; with them,
    about one restart in three fails. So the main process publishes a new prefix and confirms the processes
    that read it. A process that read the prefix of an earlier start is not confirmed, and reads again.
    """
    from torch.distributed.distributed_c10d import PrefixStore  # noqa: PLC0415 - not in every torch
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415 - likewise

    store, *_ = next(rendezvous("env://", rank, size, timeout=_RENDEZVOUS_TIMEOUT))
    own_id = uuid.uuid4().hex
    if rank == 0:
        store.set("infogan/start", own_id)
        others = [f"infogan/{own_id}/{other}" for other in range(1, size)]
        store.wait(others, _RENDEZVOUS_TIMEOUT)
        store.set(f"infogan/{own_id}/confirmed", b" ".join(store.multi_get(others)))
        return PrefixStore(own_id, store)
    deadline = time.monotonic() + _RENDEZVOUS_TIMEOUT.total_seconds()
    while time.monotonic() < deadline:
        start = store.get("infogan/start").decode()
        store.set(f"infogan/{start}/{rank}", own_id)
        confirmed = f"infogan/{start}/confirmed"
        if store.check([confirmed]) and own_id.encode() in store.get(confirmed):
            return PrefixStore(start, store)
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"no answer within {_RENDEZVOUS_TIMEOUT.seconds // 60} minutes")


def _select_own_device(environment: TorchrunEnvironment, name: str, threads: int | None) -> torch.device:
    device = select_device(name, threads or max(default_threads() // environment.local_size, 1))
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count()
    if environment.local_size > count:
        raise DeviceError(
            f"torchrun started {environment.local_size} processes on this machine, which has {count} "
            f"{'GPU' if count == 1 else 'GPUs'}: use --nproc-per-node {count}, or train with --device cpu"
        )
    own = torch.device("cuda", environment.local_rank)
    torch.cuda.set_device(own)
    return own
