"""What a GPU makes of a training; a CPU cannot show it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import torch
from rich.console import Console

from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.launch import plan_training, start_training
from infogan_tool.train.run.options import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHORT: dict[str, Any] = {
    "clustering": {"contrastive": {"epochs": 0.2}, "refinement": {"epochs": 0.2}},
    "consolidation": {"steps": 20},
    "schedule": {"steps": 60},
}


def last_tensors(out: Path, preset: str, changes: dict[str, Any], *, capture: bool) -> dict[str, Any]:
    plan = plan_training(preset=preset, config_file=None, flags=changes, device="cuda")
    run, outcome = start_training(
        plan, out=out, console=Console(file=io.StringIO()), options=RunOptions(capture=capture)
    )
    assert not outcome.interrupted
    assert list((out / "samples").iterdir())
    return read_checkpoint(run.last_checkpoint).tensors


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("mnist", SHORT), ("compact", {"schedule": {"steps": 60}}), ("paper", {"schedule": {"steps": 60}})],
)
def test_a_seed_gives_the_same_run_captured_or_not(
    tmp_path: Path, preset: str, changes: dict[str, Any]
) -> None:
    first, second, eager = (
        last_tensors(tmp_path / name, preset, changes, capture=name != "eager")
        for name in ("first", "second", "eager")
    )
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert [name for name in first if not torch.equal(first[name], eager[name])] == []
