"""Small trainings on real digits, to be killed and interrupted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from idx_files import write_idx

from infogan_tool.cli.main import main
from infogan_tool.train.data import load_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

collect_ignore_glob = ["test_*.py"] if os.name == "nt" else []
"""Signals, locks and limits of these tests are those of POSIX."""

ONE_STAGE = """
preset = "paper"
data = { source = "IMAGES" }
networks = { base_width = 2, full_width = 8, q_width = 8 }

[schedule]
batch_size = 50
epochs = 2
log_every = 7
sample_every = 12
checkpoint_every = 6
keep_every = 12
"""
"""12 steps in 2 epochs."""
ALL_STAGES = """
preset = "mnist"
precision = "fp32"
data = { source = "IMAGES" }
networks = { base_width = 2, full_width = 8, q_width = 8, q_features = 16 }
consolidation = { steps = 4 }
schedule = { batch_size = 50, epochs = 1, log_every = 4, sample_every = 6, checkpoint_every = 6 }

[clustering]
batch_size = 50
contrastive = { epochs = 1.0 }
neighbours = { pca_components = 8, candidates = 12 }
grouping = { eigenvectors = 8, clusters = 30, restarts = 2 }
refinement = { epochs = 2.0 }
"""
"""31 steps in 6 stages."""


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """300 real digits, uint8 (300, 1, 28, 28)."""
    return load_images("mnist").images[:300].clone()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory, digits: torch.Tensor) -> Path:
    """A data folder of these digits."""
    folder = tmp_path_factory.mktemp("images")
    write_idx(folder / "train-images-idx3-ubyte", digits[:, 0].numpy())
    write_idx(folder / "train-labels-idx1-ubyte", np.arange(300) % 10)
    return folder


@pytest.fixture(scope="session")
def one_stage(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """A config of one stage."""
    file = tmp_path_factory.mktemp("config") / "one_stage.toml"
    file.write_text(ONE_STAGE.replace("IMAGES", str(images)))
    return file


@pytest.fixture(scope="session")
def all_stages(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    """A config of all stages of preset ``mnist``."""
    file = tmp_path_factory.mktemp("config") / "all_stages.toml"
    file.write_text(ALL_STAGES.replace("IMAGES", str(images)))
    return file


def run_crashes(folder: Path, *jobs: str | Path) -> list[list[dict[str, Any]]]:
    """Kill commands as crash_driver.py describes; return the records of the kills of each job."""
    command = [sys.executable, str(Path(__file__).with_name("crash_driver.py")), str(folder), *map(str, jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    records = [json.loads(line) for line in done.stdout.splitlines()]
    records.sort(key=lambda record: (record.get("before", False), record["number"]))
    return [[r for r in records if r["job"] == job] for job in range(len(jobs) // 3)]


@pytest.fixture
def crash(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """One job of :func:`run_crashes`."""
    return lambda *job: run_crashes(tmp_path, *job)[0]


@pytest.fixture(scope="session")
def crashes(
    tmp_path_factory: pytest.TempPathFactory, one_stage: Path, all_stages: Path
) -> dict[str, list[dict[str, Any]]]:
    """The kills of the default tests, in one process, because torch loads slowly."""
    folder = tmp_path_factory.mktemp("crashes")
    run = folder / "0" / "work-0" / "run"  # of the first job: it was killed and resumed
    jobs = {
        "one_stage": ("train", one_stage, "all"),
        "all_stages": ("train", all_stages, "renames"),
        "random": ("random", one_stage, "5,1"),
        "export": ("export", run, "all"),
    }
    found = run_crashes(folder, *(word for job in jobs.values() for word in job))
    return dict(zip(jobs, found, strict=True))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, one_stage: Path) -> Path:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert (
        main(["train", "--config", str(one_stage), "--device", "cpu", "--threads", "1", "--out", str(out)])
        == 0
    )
    return out


@pytest.fixture(scope="session")
def trained_half(tmp_path_factory: pytest.TempPathFactory, one_stage: Path) -> Path:
    out = tmp_path_factory.mktemp("half") / "run"
    command = ["train", "--config", str(one_stage), "--epochs", "1", "--device", "cpu", "--threads", "1"]
    assert main([*command, "--out", str(out)]) == 0
    return out


@pytest.fixture
def half(trained_half: Path, tmp_path: Path) -> Path:
    """A run that was stopped after half of its steps."""
    return shutil.copytree(trained_half, tmp_path / "run")


@dataclass(frozen=True)
class End:
    """The end of one process of a group."""

    code: int
    seconds: float
    out: str
    err: str


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[End]]]:
    """Run ``infogan-tool``, or a check, as each process of a group; group_driver.py has the options."""
    driver_file = Path(__file__).with_name("group_driver.py")
    command = [sys.executable, str(driver_file), str(tmp_path_factory.mktemp("streams"))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kept
    ) as driver:
        assert driver.stdin
        assert driver.stdout

        def run(size: int, *arguments: str | Path, **job: Any) -> list[End]:  # noqa: ANN401 - JSON
            assert driver.stdin
            assert driver.stdout
            given = {"size": size, "arguments": [str(argument) for argument in arguments], **job}
            driver.stdin.write(json.dumps(given) + "\n")
            driver.stdin.flush()
            return [End(**end) for end in json.loads(driver.stdout.readline())]

        yield run
        driver.stdin.close()
