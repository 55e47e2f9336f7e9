"""Runs with all stages: categories without labels, frozen encoders, resuming in any stage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import torch
from coloured_shapes import shapes, small_preset
from rich.console import Console

from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.runtime.errors import RunError
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.monitor import ProgressDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET = Console(quiet=True)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A whole run of the small preset on 300 images."""
    images, _ = shapes(300)
    config = small_preset()
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "whole", config, "shapes")
    assert loop.train(config, images, run, device=CPU, console=QUIET).step == 36 + 1 + 1 + 48 + 4 + 9
    return run


def test_categories_of_colour_shapes_are_learned_without_labels(tmp_path: Path) -> None:
    images, kinds = shapes(1500)
    config = small_preset()
    run = RunFolder.create(tmp_path / "run", config, "shapes")
    loop.train(config, images, run, device=CPU, console=QUIET)
    networks = build_networks(config, size=16, channels=3)
    networks.load_state_dict(read_checkpoint(run.last_checkpoint).part("networks"))
    networks.eval()
    with torch.no_grad():
        logits = networks.infer(images.float() / 255).logits
    match = match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3)
    assert match.accuracy > 0.95, match


def test_category_encoder_is_frozen_in_adversarial_training(whole: RunFolder, tmp_path: Path) -> None:
    images, _ = shapes(300)
    config = small_preset({"schedule": {"steps": 1}})
    run = RunFolder.create(tmp_path / "run", config, "shapes")
    loop.train(config, images, run, device=CPU, console=QUIET)
    before, after = (read_checkpoint(run.last_checkpoint).part("networks") for run in (run, whole))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {".".join(name.split(".")[:2]) for name in moved}
    assert "q.0" not in parts
    assert {"q.1", "generator.layers", "generator_ema.layers", "trunk.layers", "d_head.logit"} <= parts


@pytest.mark.parametrize("cut", [7, 36, 37, 38, 39, 60, 86, 88, 90, 94])
def test_cut_in_any_stage_and_resumed_is_the_same_to_the_bit(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    images, _ = shapes(300)
    config = small_preset()
    part = RunFolder.create(tmp_path / "part", config, "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_signals", lambda: stop_after(cut))
        assert loop.train(config, images, part, device=CPU, console=QUIET).step == cut
    checkpoint = read_checkpoint(part.last_checkpoint)
    assert checkpoint.header.step == cut
    loop.train(config, images, part, device=CPU, console=QUIET, resume=checkpoint)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, whole))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]
    lines = [
        [line.split('"Timing')[0] for line in run.metrics.read_text().splitlines()] for run in (part, whole)
    ]
    assert lines[0] == lines[1]


def test_longer_adversarial_stage_after_consolidation_is_refused(tmp_path: Path) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    loop.train(small_preset(), images, run, device=CPU, console=QUIET)
    longer = small_preset({"schedule": {"steps": 40}})
    metrics = run.metrics.read_bytes()
    with pytest.raises(RunError, match="earlier stages"):
        loop.train(
            longer, images, run, device=CPU, console=QUIET, resume=read_checkpoint(run.last_checkpoint)
        )
    assert run.read_config() == small_preset(), "a refused run is unchanged"
    assert run.metrics.read_bytes() == metrics


@pytest.mark.parametrize("lost", ["meters/sums", "rng/stage", "stage/layers.0.weight"])
def test_checkpoint_without_a_tensor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_signals", lambda: stop_after(50))  # in the refinement stage
        loop.train(small_preset(), images, run, device=CPU, console=QUIET)
    checkpoint = read_checkpoint(run.last_checkpoint)
    del checkpoint.tensors[lost]
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(small_preset(), images, run, device=CPU, console=QUIET, resume=checkpoint)


class StopAfter:
    """Represents a signal that arrives during step number ``count``."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        return self.left <= 0


@contextmanager
def stop_after(count: int) -> Iterator[StopAfter]:
    stop = StopAfter(count)
    original = ProgressDisplay.advance

    def counted(display: ProgressDisplay, done: int) -> None:  # called once per step
        stop.left -= 1
        original(display, done)

    ProgressDisplay.advance = counted  # type: ignore[method-assign]
    try:
        yield stop
    finally:
        ProgressDisplay.advance = original  # type: ignore[method-assign]
