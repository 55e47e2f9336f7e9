"""The mutual information between the categories of two views."""

from __future__ import annotations

import math

import pytest
import torch
from coloured_shapes import shapes, small_preset
from torch.nn import functional as F

from infogan_tool.train.clustering.grouping import GROUPS, UNGROUPED
from infogan_tool.train.clustering.refinement import RefinementStage, view_information
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.networks import build_networks


def test_batches_are_of_images_with_a_pseudo_label() -> None:
    images, kinds = shapes(200)
    config, labelled = small_preset({"clustering": {"batch_size": 32}}), torch.arange(3, 200, 2)
    groups = torch.full((200,), UNGROUPED)
    groups[labelled] = kinds[labelled]
    networks = build_networks(config, size=16, channels=3)
    session = Session(config=config, networks=networks, images=images, artifacts={GROUPS: groups})
    stage = RefinementStage(session)
    assert stage.steps_per_epoch == 3  # of the 99 images
    batches = torch.cat([stage.batch(index) for index in range(3)])
    assert len(batches.unique()) == 96
    assert set(batches.tolist()) <= set(labelled.tolist())
    assert [row for part in stage._shards(0, 3) for row in part] == batches.tolist()


def test_view_information_of_perfect_constant_and_independent_categories() -> None:
    perfect = F.one_hot(torch.arange(100) % 10, 10).float()
    assert view_information(perfect, perfect).item() == pytest.approx(math.log(10), abs=1e-3)
    uniform = torch.full((100, 10), 0.1)
    assert view_information(uniform, uniform).item() == pytest.approx(0, abs=1e-5)
    constant = F.one_hot(torch.zeros(100, dtype=torch.long), 10).float()
    assert view_information(constant, constant).item() == pytest.approx(0, abs=1e-4)
    shuffled = perfect[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    assert view_information(perfect, shuffled).item() < 0.7
