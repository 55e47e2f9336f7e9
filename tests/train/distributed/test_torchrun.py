"""torchrun's environment variables, and the end of a process that was one of several."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.distributed.torchrun import TorchrunEnvironment, has_restarts, read_environment

VARIABLES = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "job-7",
}


def test_environment_variables_of_torchrun() -> None:
    environment = TorchrunEnvironment(rank=3, size=4, local_rank=1, local_size=2, job="job-7")
    assert read_environment(VARIABLES) == environment
    assert read_environment({}) is None
    assert read_environment({"LOCAL_RANK": "0", "MASTER_ADDR": "left over"}) is None
    single = read_environment({"RANK": "0", "WORLD_SIZE": "1"})
    assert single == TorchrunEnvironment(rank=0, size=1, local_rank=0, local_size=1, job=None)
    unnamed = read_environment(VARIABLES | {"TORCHELASTIC_RUN_ID": "none"})
    assert unnamed is not None
    assert unnamed.job not in (None, "none"), "every run has the id none"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "4"}, "RANK is '4', not a number from 0 to 3"),
        ({"RANK": "one"}, "RANK is 'one', not a number from 0 to 3"),
        ({"RANK": "\u0663"}, "RANK is"),
        ({"RANK": "0000000002"}, "RANK is"),
        ({"WORLD_SIZE": "0"}, "not a number from 1"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2'"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '999"),
        ({"LOCAL_WORLD_SIZE": "5"}, "LOCAL_WORLD_SIZE is '5', not a number from 1 to 4"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is ''"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT"),
        ({"MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
    ],
)
def test_inconsistent_variables_are_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_environment(VARIABLES | changes)
    missing = {name: value for name, value in VARIABLES.items() if name not in changes}
    if not {"LOCAL_WORLD_SIZE"} & changes.keys():
        with pytest.raises(UsageError, match="is not set"):
            read_environment(missing)


def test_restarts_of_torchrun_are_detected() -> None:
    assert [has_restarts(env) for env in ({}, {"TORCHELASTIC_MAX_RESTARTS": "0"})] == [False, False]
    assert has_restarts({"TORCHELASTIC_MAX_RESTARTS": "2"})


def test_a_process_of_several_exits_without_python_s_shutdown() -> None:
    # gloo's threads outlive the process group and sometimes abort Python's shutdown.
    program = """
import atexit, sys
from infogan_tool.cli.main import entry
from infogan_tool.train.distributed import torchrun
atexit.register(print, "shutdown")
torchrun._joined.extend([None] * int(sys.argv.pop(1)))
entry()
"""
    for others, printed in ((0, "shutdown"), (1, "")):
        command = [sys.executable, "-c", program, str(others), "train", "--preset", "paper", "--dry-run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        assert done.stdout.rpartition("}\n")[2].strip() == printed
        assert done.stdout.startswith("{")
