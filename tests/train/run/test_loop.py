"""Whole runs on real digits: what is written, cutting and resuming, stopping, refusals."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file

from infogan_tool.runtime.errors import DataError, NonFiniteError, OutputExistsError, RunError
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

QUIET = Console(quiet=True)
CPU = torch.device("cpu")
TIMES = ("Timing/sec_per_step", "Timing/images_per_sec")


def begin(config: TrainConfig, images: Tensor, folder: Path) -> RunFolder:
    run = RunFolder.create(folder, config, "mnist")
    loop.train(config, images, run, device=CPU, console=QUIET)
    return run


def trace(run: RunFolder) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


@pytest.fixture
def images(mnist: Tensor) -> Tensor:
    return mnist[:300]  # 6 steps of 50 an epoch


def test_run_folder_holds_what_it_says(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    config = small({"schedule": {"keep_every": 2}})
    run = begin(config, images, tmp_path / "run")
    assert run.read_config() == config
    steps = [record["step"] for record in trace(run)]
    assert steps == [7, 12], "every log_every steps and at the end"
    for record in trace(run):
        assert record["stage"] == "adversarial"
        assert all(np.isfinite(value) for value in record.values() if not isinstance(value, str))
        assert record["MI/lower_bound"] == pytest.approx(sum(record[f"MI/{c}"] for c in ("k1", "c1", "c2")))
    assert sorted(p.name for p in run.samples.iterdir()) == [f"step-{s:08d}.png" for s in (0, 6, 12)]
    assert sorted(p.name for p in run.checkpoints.iterdir()) == [
        "last.safetensors",
        "step-00000012.safetensors",
    ]
    with Image.open(run.sample_sheet(12)) as sheet:
        assert sheet.height >= 10 * 28
        assert sheet.width >= 15 * 28
    assert read_checkpoint(run.last_checkpoint).header.step == 12


def test_same_seed_same_numbers_other_seed_others(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    first, second = (trace(begin(small(), images, tmp_path / name)) for name in "ab")
    assert first == second
    assert trace(begin(small({"seed": 1}), images, tmp_path / "c")) != first


@pytest.mark.parametrize("cut", [1, 6, 7, 9])
def test_cut_and_resumed_run_is_the_uncut_run_to_the_bit(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path, cut: int
) -> None:
    changes = {"augment": {"affine": 0.5}}
    whole = begin(small(changes), images, tmp_path / "whole")
    part = begin(small({**changes, "schedule": {"steps": cut}}), images, tmp_path / "part")
    torch.rand(17)  # the caller's own use of randomness must not matter
    outcome = loop.train(
        small(changes),
        images,
        part,
        device=CPU,
        console=QUIET,
        resume=read_checkpoint(part.last_checkpoint),
    )
    assert (outcome.step, outcome.interrupted) == (12, False)
    assert trace(part) == trace(whole)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, whole))
    assert ours.keys() == theirs.keys()
    differing = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not differing


def test_signal_saves_and_the_rest_is_the_same(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small({"schedule": {"steps": 20, "log_every": 5}})
    whole = begin(config, images, tmp_path / "whole")
    run = RunFolder.create(tmp_path / "cut", config, "mnist")
    steps, add = [], Meters.add

    def interrupt_in_step_13(meters: Meters, scalars: Tensor) -> None:
        add(meters, scalars)
        steps.append(1)
        if len(steps) == 13:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Meters, "add", interrupt_in_step_13)
        outcome = loop.train(config, images, run, device=CPU, console=QUIET)
    assert (outcome.interrupted, outcome.step) == (True, 13)
    checkpoint = read_checkpoint(run.last_checkpoint)
    assert checkpoint.header.step == 13
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not loop.train(config, images, run, device=CPU, console=QUIET, resume=checkpoint).interrupted
    assert trace(run) == trace(whole)


def test_killed_run_drops_the_lines_after_its_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    config = small()
    whole = begin(config, images, tmp_path / "whole")
    run = begin(small({"schedule": {"epochs": 1}}), images, tmp_path / "cut")
    with run.metrics.open("a") as file:
        file.write(
            '{"step": 7, "stage": "adversarial", "stage_step": 7, "Loss/D/adv": 99}\n{"step": 12, "Los'
        )
    loop.train(config, images, run, device=CPU, console=QUIET, resume=read_checkpoint(run.last_checkpoint))
    assert trace(run) == trace(whole)


def test_non_finite_run_keeps_its_last_good_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = begin(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    before = run.last_checkpoint.read_bytes()
    checkpoint = read_checkpoint(run.last_checkpoint)
    checkpoint.tensors["networks/generator.layers.0.weight"][0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"step 7: .*step 6\) is kept"):
        loop.train(small(), images, run, device=CPU, console=QUIET, resume=checkpoint)
    assert run.last_checkpoint.read_bytes() == before


def test_other_images_are_refused_on_resume(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = begin(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    changed = images.clone()
    changed[5, 0, 3, 3] += 1
    with pytest.raises(RunError, match="on other images"):
        loop.train(
            small(), changed, run, device=CPU, console=QUIET, resume=read_checkpoint(run.last_checkpoint)
        )


def test_other_networks_are_refused_on_resume(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = begin(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    other = small({"networks": {"full_width": 24}})
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(other, images, run, device=CPU, console=QUIET, resume=read_checkpoint(run.last_checkpoint))


def test_fewer_images_than_a_batch(small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", small(), "mnist")
    with pytest.raises(DataError, match="--batch-size 49 or less"):
        loop.train(small(), images[:49], run, device=CPU, console=QUIET)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K*.", b"PK\x03\x04" + b"\0" * 100, b"\xff" * 200])
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match="cannot be read as a checkpoint") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_checkpoint_of_another_schema_or_tool_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(RunError, match="not a checkpoint of infogan-tool"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, {"infogan.checkpoint": '{"schema_version": 99}'})
    with pytest.raises(RunError, match="schema 99; this version reads 2"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, {"infogan.checkpoint": '{"schema_version": 2, "step": 3}'})
    with pytest.raises(RunError, match="cannot be read"):
        read_checkpoint(path)


def test_taken_out_folder_is_refused_and_untouched(small: Callable[..., TrainConfig], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputExistsError, match="--resume"):
        RunFolder.create(tmp_path, small(), "mnist")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_numbered_folders_count_on(
    small: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [RunFolder.create(None, small(), "mnist").path.as_posix() for _ in range(2)]
    assert names == ["runs/00000-paper-mnist-seed0", "runs/00001-paper-mnist-seed0"]
