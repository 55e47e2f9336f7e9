"""Runs on real digits in a folder: what is written, stopping by a signal, resuming, refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from training_images import planned

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

TIMES = ("Timing/sec_per_step", "Timing/images_per_sec")


def start(config: TrainConfig, images: Tensor, folder: Path) -> RunFolder:
    run = RunFolder.create(folder, config, "mnist")
    loop.train(planned(config, images), run)
    return run


def trace(run: RunFolder) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


@pytest.fixture(scope="module")
def images(mnist: Tensor) -> Tensor:
    return mnist[:300]  # 6 steps of 50 an epoch


@pytest.fixture(scope="module")
def whole(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """A run of 12 steps."""
    config = small({"schedule": {"keep_every": 12}})
    return start(config, images, tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def _half(
    small: Callable[..., TrainConfig], images: Tensor, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    return start(small({"schedule": {"epochs": 1}}), images, tmp_path_factory.mktemp("runs") / "half")


@pytest.fixture
def half(_half: RunFolder, tmp_path: Path) -> RunFolder:
    """A run of 6 steps."""
    return RunFolder(shutil.copytree(_half.path, tmp_path / "run"))


def test_run_folder_has_all_files(whole: RunFolder) -> None:
    assert whole.read_config().schedule.keep_every == 12
    steps = [record["step"] for record in trace(whole)]
    assert steps == [7, 12], "every log_every steps and at the end"
    for record in trace(whole):
        assert record["stage"] == "adversarial"
        assert all(np.isfinite(value) for value in record.values() if not isinstance(value, str))
        assert record["MI/lower_bound"] == pytest.approx(sum(record[f"MI/{c}"] for c in ("k1", "c1", "c2")))
    assert sorted(p.name for p in whole.samples.iterdir()) == [
        f"{kind}-{step:08d}.png" for kind in ("codes", "step") for step in (0, 6, 12)
    ]
    assert sorted(p.name for p in whole.checkpoints.iterdir()) == [
        "last.safetensors",
        "step-00000012.safetensors",
    ]
    with Image.open(whole.sample_sheet(12)) as sheet:
        assert sheet.height >= 10 * 28
        assert sheet.width >= 15 * 28
    assert read_checkpoint(whole.last_checkpoint).header.step == 12


def test_numbers_depend_on_the_seed(
    small: Callable[..., TrainConfig], images: Tensor, whole: RunFolder
) -> None:
    other = loop.train(planned(small({"seed": 1}), images), None).records[0]
    assert not [name for name, value in trace(whole)[0].items() if "Loss/" in name and other[name] == value]


def test_run_resumed_after_a_signal_equals_an_uninterrupted_one(
    small: Callable[..., TrainConfig],
    images: Tensor,
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = RunFolder.create(tmp_path / "cut", small(), "mnist")
    steps, add = [], Meters.add

    def interrupt_in_step_9(meters: Meters, scalars: Tensor) -> None:
        add(meters, scalars)
        steps.append(1)
        if len(steps) == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Meters, "add", interrupt_in_step_9)
        outcome = loop.train(planned(small(), images), run)
    assert (outcome.interrupted, outcome.step) == (True, 9)
    checkpoint = read_checkpoint(run.last_checkpoint)
    assert checkpoint.header.step == 9
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    torch.rand(17)  # the caller's use of random numbers must not matter
    assert not loop.train(planned(small(), images), run, resume=checkpoint).interrupted
    assert trace(run) == trace(whole)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (run, whole))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]


def test_resuming_drops_lines_after_the_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, whole: RunFolder, half: RunFolder
) -> None:
    with half.metrics.open("a") as file:
        file.write(
            '{"step": 7, "stage": "adversarial", "stage_step": 7, "Loss/D/adv": 99}\n{"step": 12, "Los'
        )
    loop.train(planned(small(), images), half, resume=read_checkpoint(half.last_checkpoint))
    assert trace(half) == trace(whole)


def test_non_finite_run_keeps_its_last_good_checkpoint(
    small: Callable[..., TrainConfig], images: Tensor, half: RunFolder
) -> None:
    before = half.last_checkpoint.read_bytes()
    checkpoint = read_checkpoint(half.last_checkpoint)
    checkpoint.tensors["networks/generator.layers.0.weight"][0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"step 7: .*step 6\) is kept"):
        loop.train(planned(small(), images), half, resume=checkpoint)
    assert half.last_checkpoint.read_bytes() == before


def test_other_images_and_networks_are_refused_on_resume(
    small: Callable[..., TrainConfig], images: Tensor, half: RunFolder
) -> None:
    checkpoint, changed = read_checkpoint(half.last_checkpoint), images.clone()
    changed[5, 0, 3, 3] += 1
    with pytest.raises(RunError, match="on other images"):
        loop.train(planned(small(), changed), half, resume=checkpoint)
    other = small({"networks": {"full_width": 24}})
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(planned(other, images), half, resume=checkpoint)


def test_fewer_images_than_a_batch(small: Callable[..., TrainConfig], images: Tensor) -> None:
    with pytest.raises(DataError, match="--batch-size 49 or less"):
        loop.train(planned(small(), images[:49]), None)
