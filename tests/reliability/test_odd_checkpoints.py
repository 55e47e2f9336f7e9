"""Well-formed checkpoints that do not fit are refused by one line with the reason, and not changed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result
    from torch import Tensor

CPU = ("--device", "cpu", "--threads", 1)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "run")


def change(
    run: Path, header: dict[str, Any] | None = None, tensors: dict[str, Tensor | None] | None = None
) -> bytes:
    """Put other values into the last checkpoint (None: leave it out), and return the file as it is then."""
    last = run / "checkpoints/last.safetensors"
    with safe_open(last, framework="pt") as file:
        stored = json.loads(file.metadata()["infogan.checkpoint"]) | (header or {})
    held = {name: t for name, t in (load_file(last) | (tensors or {})).items() if t is not None}
    save_file(held, last, {"infogan.checkpoint": json.dumps(stored)})
    return last.read_bytes()


@pytest.mark.parametrize(
    ("header", "tensors", "message"),
    [
        ({"stage": "refinement"}, {}, "written in a stage that this config does not have: refinement"),
        ({"stage_step": 5}, {}, "the length of earlier stages cannot be changed"),
        ({"step": -1}, {}, "has a damaged header"),
        ({"meter_count": "7"}, {}, "has a damaged header"),
        ({"data_digest": "x"}, {}, "is of a run on other images"),
        ({"more": 1}, {}, "cannot be read as a checkpoint"),
        ({}, {"meters/sums": None}, "does not fit the run's config: 'sums'"),
        ({}, {"rng/stage": torch.zeros(3, dtype=torch.uint8)}, "does not fit the run's config"),
        ({}, {"d_optimizer/99/exp_avg": torch.zeros(1)}, "for a parameter that does not exist: 99/exp_avg"),
        ({}, {"d_optimizer/x/exp_avg": torch.zeros(1)}, "for a parameter that does not exist: x/exp_avg"),
        ({}, {"d_optimizer/0/exp_avg": torch.zeros(1)}, "of another shape: 0/exp_avg"),
        ({}, {"networks/none": torch.zeros(1)}, "does not fit the run's config: none"),
    ],
)
def test_refused(
    cli: Callable[..., Result],
    run: Path,
    header: dict[str, Any],
    tensors: dict[str, Tensor | None],
    message: str,
) -> None:
    before = change(run, header, tensors)
    done = cli("train", "--resume", run, "--epochs", 3, *CPU)
    assert done.code == 1
    (line,) = [line for line in done.err.splitlines() if "rror" in line]
    assert message in line
    assert (run / "checkpoints/last.safetensors").read_bytes() == before


def test_checkpoint_of_another_type_of_device_resumes_with_a_note(
    cli: Callable[..., Result], run: Path
) -> None:
    change(run, {"device": "cuda"})
    done = cli("train", "--resume", run, "--epochs", 3, *CPU)
    assert done.code == 0, done.err
    assert "its random states do not fit cpu" in done.err
