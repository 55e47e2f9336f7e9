"""Run command lines as torchrun would, in several forks of one process that has imported everything.

    python group_driver.py FOLDER

A job is a JSON line on standard input, the ends of its processes a JSON line on standard output. A job has

=============  ==============================================================================================
``size``       processes
``arguments``  of ``infogan-tool``; or
``check``      name of a function of group_checks.py, whose result each process prints as JSON
``fault``      optional: ``rank``, ``stage``, ``step`` and what happens there to that process, before that
               step: ``kill`` or the name of a signal that it sends to itself, ``nan`` in its images,
               ``lose``: it removes ``folder``
``variables``  environment variables; null removes one
``late``       optional: a rank that reads the store slowly while it joins
``kept``       whether they use a store that is kept from job to job, as torchrun keeps its own
=============  ==============================================================================================
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import group_checks
import torch
import torch._dynamo
from torch.distributed import TCPStore

from infogan_tool.cli.main import main
from infogan_tool.train.distributed import torchrun
from infogan_tool.train.engine.stage import Session, Stage
from infogan_tool.train.run import fit, loop, stages

if TYPE_CHECKING:
    from datetime import timedelta

loop.to_memory_format = lambda networks: networks
"""The tolerances between one and many processes are for contiguous weights, as most machines use them;
channels last rounds differently (tests/train/engine/test_memory_format.py)."""
LOADED = (fit, torchrun, torch._dynamo)
"""Imported before the forks, for speed; the last one would be imported by the first optimizer step."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@functools.cache
def kept_store() -> int:
    """Keep a store in its own process, and return its port."""
    (ready, signal_ready), (ended, _held) = os.pipe(), os.pipe()
    port = free_port()
    if os.fork() == 0:
        os.close(_held)
        store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
        os.write(signal_ready, b"!")
        os.read(ended, 1)  # until the other end is closed
        del store
        os._exit(0)
    os.read(ready, 1)
    return port


def install(fault: dict[str, Any]) -> None:
    """Install the fault in this process."""
    (kind,) = [stage for stage in vars(stages).values() if getattr(stage, "name", None) == fault["stage"]]
    step, images = kind.step, Session.float_images

    def spoiled(session: Session, index: torch.Tensor) -> torch.Tensor:
        found = images(session, index)
        found[0, 0, 14, 14] = float("nan")
        return found

    def faulty(stage: Stage, index: int) -> None:
        if index == fault["step"]:
            if fault["what"] == "nan":
                Session.float_images = spoiled  # type: ignore[method-assign]
            elif fault["what"] == "lose":
                shutil.rmtree(fault["folder"])
            else:
                os.kill(os.getpid(), getattr(signal, f"SIG{fault['what']}".upper()))
        step(stage, index)

    kind.step = faulty


class LateStore(torch.distributed.Store):
    """A store that is slow to read."""

    def __init__(self, store: torch.distributed.Store) -> None:
        super().__init__()
        self._store = store

    def set(self, key: str, value: str) -> None:
        self._store.set(key, value)

    def get(self, key: str) -> bytes:
        time.sleep(0.2)
        return self._store.get(key)

    def wait(self, keys: list[str], *_: timedelta) -> None:
        self._store.wait(keys)


def fork_rank(job: dict[str, Any], rank: int, port: int, output: Path) -> int:
    """Fork the process of one rank and return its id."""
    child = os.fork()
    if child:
        return child
    for stream, name in ((1, "out"), (2, "err")):
        descriptor = os.open(output / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, stream)
    names = {"RANK": rank, "WORLD_SIZE": job["size"], "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": job["size"]}
    names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    names |= {"TORCHELASTIC_USE_AGENT_STORE": "True"} if job.get("kept") else {}
    names |= job.get("variables", {})
    for name, value in names.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = str(value)
    if job.get("fault", {}).get("rank") == rank:
        install(job["fault"])
    if job.get("late") == rank:
        opened = torchrun._open_store
        torchrun._open_store = lambda *place: LateStore(opened(*place))
    if "check" in job:
        with torchrun.join_process_group("cpu", 1) as group:
            print(json.dumps(getattr(group_checks, job["check"])(group)), flush=True)
        os._exit(0)
    os._exit(main(job["arguments"]))


def run(job: dict[str, Any], output: Path) -> list[dict[str, Any]]:
    """Return code, streams and seconds of each process, in the order of ranks."""
    port, clock = kept_store() if job.get("kept") else free_port(), time.monotonic()
    left = {fork_rank(job, rank, port, output): rank for rank in range(job["size"])}
    ends: list[dict[str, Any]] = [{} for _ in left]
    while left:
        child, status = os.wait()
        rank = left.pop(child)
        code, seconds = os.waitstatus_to_exitcode(status), time.monotonic() - clock
        streams = {name: (output / f"{rank}.{name}").read_text(errors="replace") for name in ("out", "err")}
        ends[rank] = {"code": code, "seconds": seconds, **streams}
    return ends


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), Path(sys.argv[1]))), flush=True)
