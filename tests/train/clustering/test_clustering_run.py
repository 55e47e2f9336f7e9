"""Runs with all stages: categories without labels, frozen encoders, resuming in any stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from coloured_shapes import shapes, small_preset
from stopping import StopAfter
from training_images import in_memory

from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.runtime.errors import RunError
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run import loop
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A whole run of the small preset on 300 images."""
    images, _ = shapes(300)
    config = small_preset()
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "whole", config, "shapes")
    assert loop.train(config, in_memory(images), run, device=CPU).step == 36 + 1 + 1 + 48 + 4 + 9
    return run


@pytest.mark.parametrize("sample", [100_000, 1000])
def test_categories_of_colour_shapes_are_learned_without_labels(tmp_path: Path, sample: int) -> None:
    images, kinds = shapes(1500)
    config = small_preset({"clustering": {"neighbours": {"images": sample}}})
    run = RunFolder.create(tmp_path / "run", config, "shapes")
    loop.train(config, in_memory(images), run, device=CPU)
    networks = build_networks(config, size=16, channels=3)
    networks.load_state_dict(read_checkpoint(run.last_checkpoint).part("networks"))
    networks.eval()
    with torch.no_grad():
        logits = networks.infer(images.float() / 255).logits
    match = match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3)
    assert match.accuracy > 0.95, match


def test_pseudo_labels_of_a_long_and_of_a_short_training_are_the_same() -> None:
    images, _ = shapes(300)
    states = []
    for steps in (6, 5):  # of 50 images: as many as there are, and fewer
        config = small_preset({"schedule": {"steps": steps}})
        networks = build_networks(config, size=16, channels=3).train()
        stage = AdversarialStage(Session(config=config, networks=networks, images=images))
        assert (stage._pseudo_labels is None) == (steps == 5)
        stage.step(0)
        states.append(networks.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_category_encoder_is_frozen_in_adversarial_training(whole: RunFolder, tmp_path: Path) -> None:
    images, _ = shapes(300)
    config = small_preset({"schedule": {"steps": 1}})
    run = RunFolder.create(tmp_path / "run", config, "shapes")
    loop.train(config, in_memory(images), run, device=CPU)
    before, after = (read_checkpoint(run.last_checkpoint).part("networks") for run in (run, whole))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {".".join(name.split(".")[:2]) for name in moved}
    assert "q.0" not in parts
    assert {"q.1", "generator.layers", "generator_ema.layers", "trunk.layers", "d_head.logit"} <= parts


@pytest.mark.parametrize("cut", [7, 36, 37, 38, 39, 60, 86, 88, 90, 94])
def test_cut_in_any_stage_and_resumed_is_the_same_to_the_bit(
    whole: RunFolder, tmp_path: Path, cut: int
) -> None:
    images, _ = shapes(300)
    config = small_preset()
    part = RunFolder.create(tmp_path / "part", config, "shapes")
    stopped = loop.train(config, in_memory(images), part, device=CPU, callbacks=[StopAfter(cut)])
    assert stopped.step == cut
    checkpoint = read_checkpoint(part.last_checkpoint)
    assert checkpoint.header.step == cut
    loop.train(config, in_memory(images), part, device=CPU, resume=checkpoint)
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
    loop.train(small_preset(), in_memory(images), run, device=CPU)
    longer = small_preset({"schedule": {"steps": 40}})
    metrics = run.metrics.read_bytes()
    with pytest.raises(RunError, match="earlier stages"):
        loop.train(longer, in_memory(images), run, device=CPU, resume=read_checkpoint(run.last_checkpoint))
    assert run.read_config() == small_preset(), "a refused run is unchanged"
    assert run.metrics.read_bytes() == metrics


@pytest.mark.parametrize("lost", ["meters/sums", "rng/stage", "stage/layers.0.weight"])
def test_checkpoint_without_a_tensor_is_refused(tmp_path: Path, lost: str) -> None:
    images, _ = shapes(300)
    run = RunFolder.create(tmp_path / "run", small_preset(), "shapes")
    in_refinement = [StopAfter(50)]
    loop.train(small_preset(), in_memory(images), run, device=CPU, callbacks=in_refinement)
    checkpoint = read_checkpoint(run.last_checkpoint)
    del checkpoint.tensors[lost]
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(small_preset(), in_memory(images), run, device=CPU, resume=checkpoint)
