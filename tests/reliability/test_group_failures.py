"""Failures of a training in several processes: killed ones, signals, errors, and torchrun's restarts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from compare_runs import assert_same_checkpoints, trace

from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    Ranks = Callable[..., list[Any]]

LAST = "checkpoints/last.safetensors"
WORKER = Path(__file__).with_name("group_worker.py")


def fault(rank: int, what: str, step: int = 8) -> dict[str, Any]:
    return {"rank": rank, "stage": "adversarial", "step": step, "what": what}


@pytest.fixture(scope="module")
def whole(ranks: Ranks, one_stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training in two processes: 12 steps, checkpoints after 6 and 12."""
    out = tmp_path_factory.mktemp("whole") / "run"
    ends = ranks(2, "train", "--config", one_stage, "--threads", "1", "--out", out)
    assert [end.code for end in ends] == [0, 0], ends[0].err
    return out


def resumes_to_the_same_end(ranks: Ranks, run: Path, whole: Path) -> None:
    ends = ranks(2, "train", "--resume", run, "--threads", "1")
    assert [end.code for end in ends] == [0, 0], ends[0].err
    assert trace(run) == trace(whole)
    assert_same_checkpoints(run, whole)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file()) == names
    sheet = "samples/step-00000012.png"
    assert (run / sheet).read_bytes() == (whole / sheet).read_bytes()


@pytest.mark.parametrize("lost", [0, 1])
def test_others_end_at_once_when_a_process_is_killed(
    ranks: Ranks, one_stage: Path, whole: Path, tmp_path: Path, lost: int
) -> None:
    run = tmp_path / "run"
    ends = ranks(2, "train", "--config", one_stage, "--threads", "1", "--out", run, fault=fault(lost, "kill"))
    left = ends[1 - lost]
    assert (ends[lost].code, left.code) == (-9, 1)
    assert left.seconds - ends[lost].seconds < 300, "not after the time limit of a collective, 30 minutes"
    (line,) = [text for text in left.err.splitlines() if "error" in text]
    assert line.startswith("error: another process of this training ended; the last good checkpoint")
    assert line.endswith(f"is kept: resume with --resume {run}")
    assert read_checkpoint(run / LAST).header.step == 6
    resumes_to_the_same_end(ranks, run, whole)


def test_killed_before_the_first_checkpoint_starts_over(
    ranks: Ranks, one_stage: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ends = ranks(2, "train", "--config", one_stage, "--threads", "1", "--out", run, fault=fault(1, "kill", 3))
    assert "error: another process of this training ended; there is no checkpoint" in ends[0].err
    resumes_to_the_same_end(ranks, run, whole)


@pytest.mark.parametrize("signalled", [fault(0, "int"), fault(1, "term")], ids=["int", "term"])
def test_signal_to_one_process_saves_and_ends_all(
    ranks: Ranks, one_stage: Path, whole: Path, tmp_path: Path, signalled: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    ends = ranks(2, "train", "--config", one_stage, "--threads", "1", "--out", run, fault=signalled)
    assert [end.code for end in ends] == [130, 130], ends[0].err
    assert (
        f"stopped at step 9 of 12; the state is saved\nresume with: infogan-tool train --resume {run}"
        in ends[0].err
    )
    assert not ends[1].err
    assert read_checkpoint(run / LAST).header.step == 9
    resumes_to_the_same_end(ranks, run, whole)


def test_not_finite_in_one_process_stops_all_before_the_update(
    ranks: Ranks, one_stage: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ends = ranks(2, "train", "--config", one_stage, "--threads", "1", "--out", run, fault=fault(1, "nan"))
    assert [end.code for end in ends] == [1, 1]
    (line,) = [text for text in ends[0].err.splitlines() if "error" in text]
    assert line.startswith("error: step 9: not finite: Loss/D/adv = nan; stopped before the update")
    assert not ends[1].err
    assert read_checkpoint(run / LAST).header.step == 6


def test_only_the_main_process_reports_that_it_cannot_write(
    ranks: Ranks, one_stage: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (tmp_path / "in-the-way").write_text("")
    taken = ranks(2, "train", "--config", one_stage, "--out", tmp_path / "in-the-way" / "run")
    assert [end.code for end in taken] == [1, 1]
    assert len(taken[0].err.splitlines()) == 1
    assert not taken[1].err
    lost = ranks(
        2, "train", "--config", one_stage, "--out", run, fault=fault(0, "lose") | {"folder": str(run)}
    )
    assert [end.code for end in lost] == [1, 1]
    assert "metrics.jsonl: it was removed while the training ran; stopped after step" in lost[0].err
    assert not lost[1].err


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["--preset", "papr"], (2, "did you mean 'paper'")),
        (
            ["--batch-size", "2"],
            (2, "a batch of 2 images cannot be split between 3 processes: use --batch-size 3"),
        ),
        (["--data", "mnits"], (1, "did you mean 'mnist'")),
        (["--resume", "nothing"], (1, "not a folder")),
    ],
)
def test_error_is_reported_once(
    ranks: Ranks, one_stage: Path, tmp_path: Path, arguments: list[str], end: tuple[int, str]
) -> None:
    begins = [] if "--resume" in arguments else ["--config", one_stage, "--out", tmp_path / "run"]
    ends = ranks(3, "train", *begins, *arguments)
    assert [each.code for each in ends] == [end[0]] * 3
    assert end[1] in ends[0].err
    assert len(ends[0].err.splitlines()) == 1
    assert not [each for each in ends[1:] if each.err]
    assert not list(tmp_path.iterdir())


def test_dry_run_is_printed_once(ranks: Ranks, one_stage: Path) -> None:
    first, second = ranks(2, "train", "--config", one_stage, "--dry-run")
    assert json.loads(first.out)["steps"] == 12
    assert (first.code, second.code, second.out, first.err) == (0, 0, "", "")


def test_invalid_environment_variables(ranks: Ranks, tmp_path: Path) -> None:
    for end in ranks(2, "train", "--out", tmp_path / "run", variables={"RANK": "2"}):
        assert end.code == 2
        assert end.err.startswith("error: the environment variables are not those of torchrun: RANK is '2'")
        assert "unset RANK and WORLD_SIZE" in end.err


def test_same_job_resumes_and_another_is_refused(
    ranks: Ranks, one_stage: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", "--config", one_stage, "--threads", "1", "--out", run)
    mine = {"TORCHELASTIC_RUN_ID": "mine", "TORCHELASTIC_MAX_RESTARTS": "3"}
    ranks(2, *command, variables=mine, fault=fault(1, "kill"))
    refused = ranks(2, *command, variables=mine | {"TORCHELASTIC_RUN_ID": "another"})
    assert [end.code for end in refused] == [1, 1]
    assert "resume it with --resume" in refused[0].err
    for output in (f"run: {run}, resuming at step 6\n", "done: 12 steps"):  # a finished run is no error
        again = ranks(2, *command, variables=mine)
        assert [end.code for end in again] == [0, 0], again[0].err
        assert output in again[0].err
    assert trace(run) == trace(whole)
    assert_same_checkpoints(run, whole)


def test_restarts_need_out(ranks: Ranks, one_stage: Path) -> None:
    ends = ranks(2, "train", "--config", one_stage, variables={"TORCHELASTIC_MAX_RESTARTS": "1"})
    assert [end.code for end in ends] == [2, 2]
    assert "needs --out" in ends[0].err


def test_restart_does_not_use_addresses_of_the_start_before(
    ranks: Ranks, one_stage: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", "--config", one_stage, "--threads", "1", "--out", run)
    job: dict[str, Any] = {"kept": True, "variables": {"TORCHELASTIC_RUN_ID": "mine"}}
    lost = ranks(2, *command, **job, fault=fault(0, "kill"))
    assert [end.code for end in lost] == [-9, 1]
    again = ranks(2, *command, **job)
    assert [end.code for end in again] == [0, 0], again[1].err
    assert trace(run) == trace(whole)


@pytest.mark.slow
def test_torchrun_restarts_a_killed_process_with_the_same_result(
    one_stage: Path, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", str(WORKER), json.dumps(fault(1, "kill"))]
    command += ["train", "--config", str(one_stage), "--threads", "1", "--out", str(run)]
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("TORCHELASTIC", "INFOGAN"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
    assert done.returncode == 0, done.stderr
    assert "error: another process of this training ended" in done.stderr
    assert f"run: {run}, resuming at step 6" in done.stderr
    assert not done.stdout
    assert trace(run) == trace(whole)
    assert_same_checkpoints(run, whole)
