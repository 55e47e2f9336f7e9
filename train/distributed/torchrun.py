"""From what torchrun puts into the environment to the team of a training."""

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
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, TIMEOUT, ProcessGroup
from infogan_tool.train.run.launch import select_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch.distributed.distributed_c10d import Store

__all__ = ["Place", "join_process_group", "joined_process_group", "read_place", "restarts"]

_HIGHEST_PORT: Final = 65535
_MOST: Final = 1_000_000
"""Processes."""
_MEETING: Final = timedelta(minutes=5)
"""How long processes wait for each other as they begin."""
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a process stands among those that torchrun started."""

    rank: int
    """Its number among all."""
    size: int
    """How many there are."""
    local_rank: int
    """Its number on its machine, which is that of its GPU."""
    local_size: int
    """How many there are on its machine."""
    job: str | None
    """What all starts and restarts by one torchrun have in common."""


def read_place(environment: Mapping[str, str]) -> Place | None:
    """Return the place that the environment tells, None if it tells none.

    Raises:
        UsageError: It is incomplete, or makes no sense.
    """
    if not {"RANK", "WORLD_SIZE"} & environment.keys():
        return None
    size = _number(environment, "WORLD_SIZE", 1, _MOST)
    rank = _number(environment, "RANK", 0, size - 1)
    local_size = _number(environment, "LOCAL_WORLD_SIZE", 1, size, default=size)
    local_rank = _number(environment, "LOCAL_RANK", 0, local_size - 1, default=None if size > 1 else 0)
    if size > 1:
        _number(environment, "MASTER_PORT", 1, _HIGHEST_PORT)
        if not environment.get("MASTER_ADDR"):
            raise _senseless("MASTER_ADDR is not set")
    return Place(rank=rank, size=size, local_rank=local_rank, local_size=local_size, job=_job(environment))


def _number(
    environment: Mapping[str, str], name: str, least: int, most: int, default: int | None = None
) -> int:
    text = environment.get(name)
    if text is None:
        if default is None:
            raise _senseless(f"{name} is not set")
        return default
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not plain or not least <= int(text) <= most:
        raise _senseless(f"{name} is '{text:.40}', not a number from {least} to {most}")
    return int(text)


def _senseless(what: str) -> UsageError:
    return UsageError(
        f"the environment is not one that torchrun makes: {what}; start with "
        "torchrun -m infogan_tool train ..., or unset RANK and WORLD_SIZE for a training in one process"
    )


def _job(environment: Mapping[str, str]) -> str | None:
    run = environment.get("TORCHELASTIC_RUN_ID")
    if run is None:
        return None
    # "none" is what a torchrun without a rendezvous of its own calls every run; it starts them all itself.
    return run if run != "none" else f"{socket.gethostname()} {os.getppid()}"


_joined: Final[list[Place]] = []
"""Where this process has been among others."""


def joined_process_group() -> bool:
    """Return whether this process has been one of several."""
    return bool(_joined)


def restarts(environment: Mapping[str, str]) -> bool:
    """Return whether torchrun starts this command again if one of its processes fails."""
    return environment.get("TORCHELASTIC_MAX_RESTARTS", "0").strip() != "0"


@contextmanager
def join_process_group(device: str, threads: int | None) -> Iterator[ProcessGroup]:
    """Be one of the processes that torchrun started, or alone, while the block runs.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``; process i of a machine takes GPU i.
        threads: CPU threads of this process; None: its share of the cores.

    Raises:
        UsageError: The environment is not one that torchrun makes.
        DeviceError: There are fewer GPUs than processes.
        RunError: The other processes cannot be reached.
    """
    place = read_place(os.environ)
    if place is None or place.size == 1:
        yield ProcessGroup(job=place.job) if place else SINGLE_PROCESS
        return
    if not torch.distributed.is_available():
        raise UsageError("this torch cannot train in several processes: start the command without torchrun")
    chosen = _own_device(place, device, threads)
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    try:
        store = _meet(place)
        torch.distributed.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.size, timeout=TIMEOUT
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"process {place.rank} of {place.size} cannot reach the others: {reason:.200}"
        ) from error
    _joined.append(place)
    yield ProcessGroup(
        rank=place.rank, size=place.size, device=chosen, local_rank=place.local_rank, job=place.job
    )
    torch.distributed.destroy_process_group()  # after an error the others may be gone, and nobody is told


def _meet(place: Place) -> Store:
    """Return what the processes of this start, and of no earlier one, can find each other by.

    torchrun keeps the same store when it starts its processes again, addresses of the ended ones included.
    So the one that leads gives the start a name, and answers those who have found it; whoever finds an older
    name gets no answer, and looks again.
    """
    from torch.distributed.distributed_c10d import PrefixStore  # noqa: PLC0415 - not in every torch
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415 - likewise

    store, *_ = next(rendezvous("env://", place.rank, place.size, timeout=_MEETING))
    mine = uuid.uuid4().hex
    if place.rank == 0:
        store.set("infogan/start", mine)
        others = [f"infogan/{mine}/{rank}" for rank in range(1, place.size)]
        store.wait(others, _MEETING)
        store.set(f"infogan/{mine}/here", b" ".join(store.multi_get(others)))
        return PrefixStore(mine, store)
    late = time.monotonic() + _MEETING.total_seconds()
    while time.monotonic() < late:
        start = store.get("infogan/start").decode()
        store.set(f"infogan/{start}/{place.rank}", mine)
        here = f"infogan/{start}/here"
        if store.check([here]) and mine.encode() in store.get(here):
            return PrefixStore(start, store)
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"they did not come within {_MEETING.seconds // 60} minutes")


def _own_device(place: Place, name: str, threads: int | None) -> torch.device:
    chosen = select_device(name, threads or max(default_threads() // place.local_size, 1))
    if chosen.type == "cpu":
        return chosen
    count = torch.cuda.device_count()
    if place.local_size > count:
        raise DeviceError(
            f"torchrun started {place.local_size} processes on this machine, which has {count} "
            f"{'GPU' if count == 1 else 'GPUs'}: --nproc-per-node {count}, or train with --device cpu"
        )
    own = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(own)
    return own
