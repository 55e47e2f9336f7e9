"""Run the tests on every change that a session of cosmic-ray still has to judge.

    python judge.py SESSION.sqlite MODULE SECONDS TEST...

Like `cosmic-ray exec`, but each change is judged in a fork of this process, which has imported once what
takes longest to import; none of the sources is imported before the fork.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydantic.main
import pytest
import pytest_timeout
import scipy.sparse.linalg
import sklearn.cluster
import torch
import torch._dynamo
import torch.distributions
import typer
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult
from PIL import Image

LOADED = (
    np, pydantic.main, pytest_timeout, scipy.sparse.linalg, sklearn.cluster, torch._dynamo,
    torch.distributions, typer, Image,
)  # fmt: skip
"""Imported for their time alone."""
LEFT_OUT = ("cacheprovider", "logging", "unraisableexception", "threadexception")
"""Parts of pytest that take longer than these tests, as do its rewriting of asserts and most plugins."""

MORE_MEMORY = 2 << 30
"""Bytes that a test may take."""


def main() -> None:
    """Judge all that is left."""
    session, module, seconds, *tests = sys.argv[1:]
    assert not any(name.startswith("infogan_tool") for name in sys.modules)
    torch.set_num_threads(1)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    gc.freeze()
    began = time.monotonic()
    if not passes(tests, float(seconds)):
        raise SystemExit("the tests fail on the module as it is")
    longest = min(float(seconds), 10 + 5 * (time.monotonic() - began))
    with use_db(session, WorkDB.Mode.open) as database:
        for item in database.pending_work_items:
            (mutation,) = item.mutations
            operator = get_operator(mutation.operator_name)(**mutation.operator_args)
            with use_mutation(Path(module), operator, mutation.occurrence):
                outcome = TestOutcome.SURVIVED if passes(tests, longest) else TestOutcome.KILLED
            database.set_result(
                item.job_id, WorkResult(worker_outcome=WorkerOutcome.NORMAL, test_outcome=outcome)
            )


def passes(tests: list[str], seconds: float) -> bool:
    """Return whether the tests pass, in time, in a fork."""
    child = os.fork()
    if child == 0:
        os.setsid()
        limit_memory()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        left_out = [word for name in LEFT_OUT for word in ("-p", f"no:{name}")]
        options = ["-x", "-q", "--assert=plain", "-p", "pytest_timeout", *left_out]
        os._exit(int(pytest.main([*options, *tests])) & 0xFF)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def limit_memory() -> None:
    """Let a changed size not ask for all the memory of the machine."""
    with suppress(FileNotFoundError):  # only Linux tells it there
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))


if __name__ == "__main__":
    main()
