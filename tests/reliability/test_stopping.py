"""Signals save and stop; a closed terminal, or a run without a checkpoint, loses nothing."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from training_images import planned

from infogan_tool.cli import training_progress
from infogan_tool.cli.stderr_console import StderrConsole
from infogan_tool.cli.training_progress import TrainingProgress
from infogan_tool.runtime.bundle.metadata import read_metadata
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result
    from torch import Tensor

CPU = ("--device", "cpu", "--threads", 1)
LAST = "checkpoints/last.safetensors"


def signal_in_step(monkeypatch: pytest.MonkeyPatch, sent: dict[int, list[signal.Signals]]) -> None:
    steps, add = [], Meters.add

    def adding(meters: Meters, scalars: Tensor) -> None:
        add(meters, scalars)
        steps.append(1)
        for number in sent.get(len(steps), ()):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Meters, "add", adding)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_saves_and_exits_with_130(  # noqa: PLR0917 - fixtures
    cli: Callable[..., Result],
    one_stage: Path,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    run = tmp_path / "run"
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        signal_in_step(patch, {4: [number]})
        done = cli("train", "--config", one_stage, "--out", run, *CPU)
    assert done.code == 130
    assert "stopped at step 4 of 12; the state is saved\n" in done.err
    assert signal.getsignal(number) is before
    assert cli("train", "--resume", run, *CPU).code == 0
    assert (run / LAST).read_bytes() == (finished_run / LAST).read_bytes()


def test_second_signal_exits_at_once_and_keeps_the_last_checkpoint(
    cli: Callable[..., Result],
    one_stage: Path,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        signal_in_step(patch, {9: [signal.SIGTERM, signal.SIGINT]})
        done = cli("train", "--config", one_stage, "--out", run, *CPU)
    assert (done.code, done.err.splitlines()[-1]) == (130, "interrupted")
    assert read_checkpoint(run / LAST).header.step == 6
    assert not list(run.rglob(".*"))
    assert cli("train", "--resume", run, *CPU).code == 0
    assert (run / LAST).read_bytes() == (finished_run / LAST).read_bytes()


def test_ignored_signal_stays_ignored(
    cli: Callable[..., Result], one_stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as with nohup
    try:
        signal_in_step(monkeypatch, {4: [signal.SIGHUP]})
        assert cli("train", "--config", one_stage, "--out", tmp_path / "run", *CPU).code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class _Gone(io.StringIO):
    """A terminal that was closed after some lines, or a pipe whose reader went away."""

    def __init__(self, error: OSError, *, is_terminal: bool) -> None:
        super().__init__()
        self._error, self._is_terminal, self._left = error, is_terminal, 3

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return len(text)


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(5, "Input/output error")])
def test_training_continues_when_its_output_cannot_be_written(  # noqa: PLR0917 - fixtures
    one_stage: Path,
    digits: Tensor,
    finished_run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    error: OSError,
    *,
    is_terminal: bool,
) -> None:
    changes = {"data": {"size": 28, "channels": 1}, "schedule": {"log_every": 1}}
    config = resolve_config(file=one_stage, flags=changes)
    run = RunFolder.create(tmp_path / "run", config, "digits")
    console = StderrConsole(_Gone(error, is_terminal=is_terminal), force_terminal=is_terminal, width=80)
    display = TrainingProgress(console)
    outcome = loop.train(planned(config, digits), run, callbacks=[display])
    assert (outcome.step, outcome.interrupted) == (12, False)
    ours, theirs = (read_checkpoint(folder / LAST).part("networks") for folder in (run.path, finished_run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    print("results", flush=True)
    assert capfd.readouterr().out == "results\n"


def test_bar_on_a_terminal_counts_stages_and_steps(all_stages: Path, digits: Tensor) -> None:
    seen = io.StringIO()
    console = StderrConsole(seen, force_terminal=True, width=120, legacy_windows=False)
    config = resolve_config(file=all_stages, flags={"data": {"size": 28, "channels": 1}})
    loop.train(planned(config, digits), None, callbacks=[TrainingProgress(console)])
    text = seen.getvalue()
    assert "refinement (4/6)" in text
    assert "images/s" in text
    assert "groups 2." in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "0:59"), (61, "1:01"), (3600, "1:00:00"), (7325.4, "2:02:05")]
)
def test_duration(seconds: float, text: str) -> None:
    assert training_progress._duration(seconds) == text


def test_run_without_a_checkpoint_starts_over(
    cli: Callable[..., Result], one_stage: Path, finished_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert cli("train", "--config", one_stage, "--steps", 3, "--out", run, *CPU).code == 0
    (run / LAST).unlink()
    (run / "checkpoints").rmdir()
    (run / "run.json").unlink()
    done = cli("train", "--resume", run, "--epochs", 2, *CPU)
    assert done.code == 0, done.err
    assert "which has no checkpoint yet: starting over" in done.err
    for name in (LAST, "config.json", "samples/step-00000000.png"):
        assert (run / name).read_bytes() == (finished_run / name).read_bytes()
    assert (run / "run.json").exists()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_run_on_other_images_does_not_start_over(
    cli: Callable[..., Result], one_stage: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert cli("train", "--config", one_stage, "--steps", 3, "--out", run, *CPU).code == 0
    (run / LAST).unlink()
    metrics = (run / "metrics.jsonl").read_text()
    info = json.loads((run / "run.json").read_text())
    info["data"]["digest"] = "another"
    (run / "run.json").write_text(json.dumps(info))
    done = cli("train", "--resume", run, *CPU)
    assert (done.code, done.err) == (
        1,
        f"error: {run} was started on other images: give the same --data as at the start\n",
    )
    assert (run / "metrics.jsonl").read_text() == metrics


def test_a_run_without_its_last_checkpoint_is_exported_and_resumed_from_the_newest_that_is_kept(
    cli: Callable[..., Result], finished_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "run.json", "checkpoints/step-00000012.safetensors"):
        (run / name).write_bytes((finished_run / name).read_bytes())
    done = cli("export", run, "--out", tmp_path / "bundle")
    assert done.code == 0, done.err
    assert read_metadata(tmp_path / "bundle").training["steps"] == 12
    done = cli("train", "--resume", run, "--epochs", 3, *CPU)
    assert done.code == 0, done.err
    assert "resuming at step 12" in done.err
    kept = "checkpoints/step-00000012.safetensors"
    assert (run / kept).read_bytes() == (finished_run / kept).read_bytes()
    assert read_checkpoint(run / LAST).header.step == 18


@pytest.mark.parametrize("schema", [0, 1, None, "2", [1]])
def test_checkpoint_of_an_older_or_newer_schema_is_refused_by_name(
    cli: Callable[..., Result], finished_run: Path, tmp_path: Path, schema: object
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    with safe_open(run / LAST, framework="pt") as file:
        header = json.loads(file.metadata()["infogan.checkpoint"])
    header["schema_version"] = schema
    save_file(load_file(run / LAST), run / LAST, {"infogan.checkpoint": json.dumps(header)})
    before = (run / LAST).read_bytes()
    for command in (("train", "--resume", run, "--epochs", 3), ("export", run, "--out", tmp_path / "b")):
        done = cli(*command)
        assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
        assert f"checkpoint schema {schema!r}; this version reads 2" in done.err
    assert (run / LAST).read_bytes() == before
