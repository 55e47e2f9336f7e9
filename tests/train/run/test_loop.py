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
from training_images import in_memory

from infogan_tool.runtime.errors import DataError, NonFiniteError, RunError
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

CPU = torch.device("cpu")
TIMES = ("Timing/sec_per_step", "Timing/images_per_sec")


def start(config: TrainConfig, images: Tensor, folder: Path) -> RunFolder:
    run = RunFolder.create(folder, config, "mnist")
    loop.train(config, in_memory(images), run, device=CPU)
    return run


def trace(run: RunFolder) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


@pytest.fixture
def images(mnist: Tensor) -> Tensor:
    return mnist[:300]  # 6 steps of 50 an epoch


def test_run_folder_has_all_files(small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path) -> None:
    config = small({"schedule": {"keep_every": 12}})
    run = start(config, images, tmp_path / "run")
    assert run.read_config() == config
    steps = [record["step"] for record in trace(run)]
    assert steps == [7, 12], "every log_every steps and at the end"
    for record in trace(run):
        assert record["stage"] == "adversarial"
        assert all(np.isfinite(value) for value in record.values() if not isinstance(value, str))
        assert record["MI/lower_bound"] == pytest.approx(sum(record[f"MI/{c}"] for c in ("k1", "c1", "c2")))
    assert sorted(p.name for p in run.samples.iterdir()) == [
        f"{kind}-{step:08d}.png" for kind in ("codes", "step") for step in (0, 6, 12)
    ]
    assert sorted(p.name for p in run.checkpoints.iterdir()) == [
        "last.safetensors",
        "step-00000012.safetensors",
    ]
    with Image.open(run.sample_sheet(12)) as sheet:
        assert sheet.height >= 10 * 28
        assert sheet.width >= 15 * 28
    assert read_checkpoint(run.last_checkpoint).header.step == 12


def test_numbers_depend_on_the_seed_alone(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    first, second = (trace(start(small(), images, tmp_path / name)) for name in "ab")
    assert first == second
    assert trace(start(small({"seed": 1}), images, tmp_path / "c")) != first


@pytest.mark.parametrize("cut", [1, 6, 7, 9])
def test_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path, cut: int
) -> None:
    changes = {"augment": {"affine": 0.5}}
    uninterrupted = start(small(changes), images, tmp_path / "whole")
    part = start(small({**changes, "schedule": {"steps": cut}}), images, tmp_path / "part")
    torch.rand(17)  # the caller's use of random numbers must not matter
    outcome = loop.train(
        small(changes),
        in_memory(images),
        part,
        device=CPU,
        resume=read_checkpoint(part.last_checkpoint),
    )
    assert (outcome.step, outcome.interrupted) == (12, False)
    assert trace(part) == trace(uninterrupted)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, uninterrupted))
    assert ours.keys() == theirs.keys()
    differing = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not differing


def test_run_resumed_after_a_signal_equals_an_uninterrupted_one(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small({"schedule": {"steps": 20, "log_every": 5}})
    uninterrupted = start(config, images, tmp_path / "whole")
    run = RunFolder.create(tmp_path / "cut", config, "mnist")
    steps, add = [], Meters.add

    def interrupt_in_step_13(meters: Meters, scalars: Tensor) -> None:
        add(meters, scalars)
        steps.append(1)
        if len(steps) == 13:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Meters, "add", interrupt_in_step_13)
        outcome = loop.train(config, in_memory(images), run, device=CPU)
    assert (outcome.interrupted, outcome.step) == (True, 13)
    checkpoint = read_checkpoint(run.last_checkpoint)
    assert checkpoint.header.step == 13
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not loop.train(config, in_memory(images), run, device=CPU, resume=checkpoint).interrupted
    assert trace(run) == trace(uninterrupted)


def test_resuming_drops_lines_after_the_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    config = small()
    uninterrupted = start(config, images, tmp_path / "whole")
    run = start(small({"schedule": {"epochs": 1}}), images, tmp_path / "cut")
    with run.metrics.open("a") as file:
        file.write(
            '{"step": 7, "stage": "adversarial", "stage_step": 7, "Loss/D/adv": 99}\n{"step": 12, "Los'
        )
    loop.train(config, in_memory(images), run, device=CPU, resume=read_checkpoint(run.last_checkpoint))
    assert trace(run) == trace(uninterrupted)


def test_non_finite_run_keeps_its_last_good_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = start(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    before = run.last_checkpoint.read_bytes()
    checkpoint = read_checkpoint(run.last_checkpoint)
    checkpoint.tensors["networks/generator.layers.0.weight"][0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"step 7: .*step 6\) is kept"):
        loop.train(small(), in_memory(images), run, device=CPU, resume=checkpoint)
    assert run.last_checkpoint.read_bytes() == before


def test_other_images_are_refused_on_resume(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = start(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    changed = images.clone()
    changed[5, 0, 3, 3] += 1
    with pytest.raises(RunError, match="on other images"):
        loop.train(small(), in_memory(changed), run, device=CPU, resume=read_checkpoint(run.last_checkpoint))


def test_other_networks_are_refused_on_resume(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path
) -> None:
    run = start(small({"schedule": {"epochs": 1}}), images, tmp_path / "run")
    other = small({"networks": {"full_width": 24}})
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(other, in_memory(images), run, device=CPU, resume=read_checkpoint(run.last_checkpoint))


def test_fewer_images_than_a_batch(small: Callable[..., TrainConfig], images: Tensor, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", small(), "mnist")
    with pytest.raises(DataError, match="--batch-size 49 or less"):
        loop.train(small(), in_memory(images[:49]), run, device=CPU)
