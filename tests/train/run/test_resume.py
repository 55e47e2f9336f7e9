"""Cutting metrics.jsonl for a resumed run, and the length that it may have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.errors import DataError, RunError
from infogan_tool.train import fit, preset
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.run.checkpoint import CHECKPOINT_SCHEMA, Checkpoint, CheckpointHeader
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.resume import _cut_metrics, _steps_of_stage

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.engine.stage import Stage


def test_lines_are_kept_up_to_the_first_invalid_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    good = '{"step": 1, "stage": "a", "stage_step": 1}\n'
    for bad in (
        '{"stage": "a", "stage_step": 2}',
        "[1]",
        "7",
        '{"step": "x", "stage": "a", "stage_step": 2}',
        "\xff",
        "[" * 100_000,
    ):
        run.metrics.write_bytes((good + bad + "\n" + good).encode("latin-1"))
        _cut_metrics(run.metrics, 5, None)
        assert run.metrics.read_text() == good
    _cut_metrics(run.metrics, 1, ("a", 1))
    assert run.metrics.read_text() == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipe_in_place_of_metrics_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(RunError, match="not a regular file"):
        _cut_metrics(tmp_path / "metrics.jsonl", 5, None)


def test_run_json_is_of_the_latest_start(tmp_path: Path, mnist: Tensor) -> None:
    config = preset("paper", networks={"base_width": 2, "full_width": 8, "q_width": 8})
    run, schedule = tmp_path / "run", {"batch_size": 20, "steps": 1}
    fit(config, mnist[:40], out=run, device="cpu", threads=1, schedule=schedule)
    first = RunFolder(run).read_info()
    RunFolder(run).write_info(first | {"versions": {}, "processes": 2})
    with pytest.raises(DataError, match=r"given in Python: give them again, with fit\(data="):
        fit(resume=run)
    fit(resume=run, data=mnist[:40], device="cpu", threads=1, schedule={"steps": 2})
    stages = [{"name": "adversarial", "steps": 2}]
    assert RunFolder(run).read_info() == first | {"stages": stages}


def test_a_stage_cannot_become_shorter_than_it_is() -> None:
    header = CheckpointHeader(
        schema_version=CHECKPOINT_SCHEMA,
        stage="adversarial",
        stage_step=4,
        step=4,
        meter_count=0,
        data_digest="",
        device="cpu",
        tool_version="",
    )
    checkpoint = Checkpoint(path=Path("last.safetensors"), header=header, tensors={})
    for steps in (2, 4):
        stages: list[tuple[type[Stage], int]] = [(AdversarialStage, steps), (ConsolidationStage, 5)]
        if steps == 2:
            with pytest.raises(RunError, match=r"adversarial has 4 steps already: .* at least 4, not 2"):
                _steps_of_stage(checkpoint, stages)
        else:
            assert _steps_of_stage(checkpoint, stages) == steps
