"""Runs with all stages: categories without labels, frozen encoders, resuming in any stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
import torch
from coloured_shapes import recoloured, shapes, small_preset
from stopping import StopAfter
from training_images import planned

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

    from infogan_tool.train.run.checkpoint import Checkpoint

MEAN_START: Final = {"networks": {"mean_start": True}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A whole run of the small preset on 300 images, from whose mean colour G begins."""
    images, _ = shapes(300)
    config = small_preset(MEAN_START)
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "whole", config, "shapes")
    assert loop.train(planned(config, images), run).step == 36 + 1 + 1 + 48 + 4 + 9
    return run


@pytest.mark.parametrize("sample", [100_000, 1000])
def test_categories_of_colour_shapes_are_learned_without_labels(sample: int) -> None:
    images, kinds = shapes(1500)
    config = small_preset({"clustering": {"neighbours": {"images": sample}}})
    logits = loop.train(planned(config, images), None).infer(images.float() / 255).logits
    match = match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3)
    assert match.accuracy > 0.95, match


@pytest.mark.parametrize(("views", "low", "high"), [("shapes", 0.95, 1.0), ("objects", 0.3, 0.6)])
def test_shapes_of_any_colour_need_views_that_change_hues(views: str, low: float, high: float) -> None:
    images, kinds = shapes(1500)
    images = recoloured(images)
    changes = {
        "clustering": {"views": views, "contrastive": {"epochs": 8}},
        "consolidation": None,
        "schedule": {"steps": 1},
    }
    logits = loop.train(planned(small_preset(changes), images), None).infer(images.float() / 255).logits
    assert low <= match_labels(logits.argmax(1).numpy(), kinds.numpy(), 3).accuracy <= high


def test_pseudo_labels_of_a_long_and_of_a_short_training_are_the_same() -> None:
    images, _ = shapes(300)
    states = []
    for steps in (6, 5):  # of 50 images: as many as there are, and fewer
        config = small_preset({"objective": {"axis_alignments": 0}, "schedule": {"steps": steps}})
        networks = build_networks(config, size=16, channels=3).train()
        stage = AdversarialStage(Session(config=config, networks=networks, images=images))
        assert (stage._pseudo_labels is None) == (steps == 5)
        stage.step(0)
        states.append(networks.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_category_encoder_is_frozen_in_adversarial_training(whole: RunFolder) -> None:
    images, _ = shapes(300)
    before = loop.train(planned(small_preset({"schedule": {"steps": 1}}), images), None).networks.state_dict()
    after = read_checkpoint(whole.last_checkpoint).part("networks")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {".".join(name.split(".")[:2]) for name in moved}
    assert "q.0" not in parts
    assert {"q.1", "generator.layers", "generator_ema.layers", "trunk.layers", "d_head.logit"} <= parts


def test_cut_in_every_stage_and_resumed_is_the_same_to_the_bit(whole: RunFolder, tmp_path: Path) -> None:
    images, _ = shapes(300)
    config = small_preset(MEAN_START)
    part = RunFolder.create(tmp_path / "part", config, "shapes")
    checkpoint = None
    for cut in (7, 36, 37, 38, 60, 86, 88, 90, 94):
        stopped = loop.train(planned(config, images), part, resume=checkpoint, callbacks=[StopAfter(cut)])
        checkpoint = read_checkpoint(part.last_checkpoint)
        assert stopped.step == checkpoint.header.step == cut
    loop.train(planned(config, images), part, resume=checkpoint)
    ours, theirs = (read_checkpoint(run.last_checkpoint).tensors for run in (part, whole))
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]
    lines = [
        [line.split('"Timing')[0] for line in run.metrics.read_text().splitlines()] for run in (part, whole)
    ]
    assert lines[0] == lines[1]


def test_longer_adversarial_stage_after_consolidation_is_refused(whole: RunFolder) -> None:
    images, _ = shapes(300)
    longer = small_preset({**MEAN_START, "schedule": {"steps": 40}})
    metrics = whole.metrics.read_bytes()
    with pytest.raises(RunError, match="earlier stages"):
        loop.train(planned(longer, images), whole, resume=read_checkpoint(whole.last_checkpoint))
    assert whole.read_config() == small_preset(MEAN_START), "a refused run is unchanged"
    assert whole.metrics.read_bytes() == metrics


@pytest.fixture(scope="module")
def in_refinement() -> Checkpoint:
    images, _ = shapes(300)
    checkpoint = loop.train(planned(small_preset(), images), None, callbacks=[StopAfter(50)]).checkpoint
    assert checkpoint is not None
    return checkpoint


@pytest.mark.parametrize("lost", ["meters/sums", "rng/stage", "stage/layers.0.weight"])
def test_checkpoint_without_a_tensor_is_refused(in_refinement: Checkpoint, lost: str) -> None:
    images, _ = shapes(300)
    tensors = {name: tensor for name, tensor in in_refinement.tensors.items() if name != lost}
    assert len(tensors) == len(in_refinement.tensors) - 1
    with pytest.raises(RunError, match="does not fit the run's config"):
        loop.train(planned(small_preset(), images), None, resume=replace(in_refinement, tensors=tensors))
