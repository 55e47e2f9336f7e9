"""Encoding on a local Ray cluster of which a worker or a node is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc"),
]

BUNDLE = Path(__file__).parents[1] / "fixtures" / "continuous"
COUNT = 60_000
STORE = 200 << 20
"""Bytes of each node's object store; by default it is a third of the machine's memory."""


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    """Return arguments that name 60,510 images, five of them unreadable."""
    rng = np.random.default_rng(0)
    (tmp_path / "files").mkdir()
    for number in range(510):
        path = tmp_path / "files" / f"{number:03d}.png"
        if number % 100 == 17:
            path.write_bytes(b"no image")
        else:
            Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(path)
    np.save(tmp_path / "many.npy", rng.integers(0, 256, (COUNT, 12, 12), np.uint8))
    return [str(tmp_path / "files"), str(tmp_path / "many.npy")]


def start(inputs: list[str], *options: str, address: str | None = None) -> subprocess.Popen[bytes]:
    # On a slow machine a run prints its progress, which is not what is compared.
    given = ["-b", str(BUNDLE), "--device", "cpu", "--no-progress"]
    command = [sys.executable, "-m", "infogan_tool", "encode", *inputs, *given]
    env = {**os.environ, **({"RAY_ADDRESS": address} if address else {})}
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head that encodes nothing, and two nodes with a core each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - slow to import

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
    local = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            local.add_node(num_cpus=1, object_store_memory=STORE)
        local.wait_for_nodes()
        yield local
    finally:
        local.shutdown()


def test_a_killed_worker_changes_nothing(inputs: list[str]) -> None:
    alone = start(inputs, "--json")
    expected, messages = alone.communicate(timeout=600)
    assert alone.returncode == 3
    with start(inputs, "--json", "--engine", "ray", "--threads", "2") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        found = run.stdout.readline()  # the first is there: the workers are at it
        workers = encoders_below(run.pid)
        assert len(workers) == 2
        os.kill(min(workers), signal.SIGKILL)
        time.sleep(0.1)
        assert run.poll() is None
        assert min(workers) not in encoders_below(run.pid)
        found += run.stdout.read()
        err = run.stderr.read().decode()
    assert run.returncode == 3, err
    assert found == expected
    lines = messages.decode().splitlines()
    assert len(lines) == 6
    assert err.splitlines()[-1] == lines[-1] == "5 of 60,510 images failed"
    assert [line for line in err.splitlines() if line.startswith("error: ")] == lines[:5]
    assert len({json.loads(line)["path"] for line in found.splitlines()}) == COUNT + 505
    assert not encoders_below(run.pid)


def test_a_killed_node_changes_nothing(inputs: list[str], cluster: Cluster) -> None:
    expected, _ = start(inputs, "--json").communicate(timeout=600)
    with start(inputs, "--json", "--engine", "ray", address=cluster.address) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        found = run.stdout.readline()  # the first is there: the workers are at it
        lost, kept = sorted(cluster.worker_nodes, key=lambda node: node.unique_id)
        raylets = [node.all_processes["raylet"][0].process.pid for node in (lost, kept)]
        assert [len(encoders_below(raylet)) for raylet in raylets] == [1, 1]
        cluster.remove_node(lost, allow_graceful=False)
        assert run.poll() is None
        assert [len(encoders_below(raylet)) for raylet in raylets] == [0, 1]
        found += run.stdout.read()
        err = run.stderr.read().decode()
    assert run.returncode == 3, err
    assert found == expected
    assert err.splitlines()[-1] == "5 of 60,510 images failed"


def encoders_below(pid: int) -> set[int]:
    """Return the live encoding processes of this run's cluster."""
    parents, encoders = {}, set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        number = int(status.parent.name)
        parents[number] = int(fields[1])
        if fields[0] != "Z" and b"ray::MapWorker(MapBatches(_Encoder" in command:
            encoders.add(number)
    return {number for number in encoders if _is_below(number, pid, parents)}


def _is_below(number: int, pid: int, parents: dict[int, int]) -> bool:
    while number > 1:
        if number == pid:
            return True
        number = parents.get(number, 0)
    return False
