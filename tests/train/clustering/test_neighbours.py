"""Principal directions of features, and the neighbours found with them."""

from __future__ import annotations

import pytest
import torch
from coloured_shapes import shapes, small_preset
from torch.nn import functional as F

from infogan_tool.train.clustering.deformation import DeformableMatcher
from infogan_tool.train.clustering.neighbours import (
    NEIGHBOURS,
    NeighboursStage,
    neighbour_sample,
    principal_directions,
)
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.networks import build_networks


def test_principal_directions_keep_the_variance() -> None:
    rng = torch.Generator().manual_seed(0)
    plane = torch.randn(200, 2, generator=rng) @ torch.randn(2, 12, generator=rng)
    reduced = principal_directions(plane, 2)
    assert reduced.shape == (200, 2)
    torch.testing.assert_close(reduced.norm(dim=1), torch.ones(200))
    centred = F.normalize(plane, dim=1) - F.normalize(plane, dim=1).mean(0)
    unit = F.normalize(centred, dim=1)
    torch.testing.assert_close(reduced @ reduced.T, unit @ unit.T)


def test_neighbours_are_the_candidates_of_least_cost_and_never_the_image_itself() -> None:
    images, _ = shapes(60)
    config = small_preset()
    session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
    stage = NeighboursStage(session)
    stage.step(0)
    stage.finish()
    near = session.artifacts[NEIGHBOURS].long()
    assert near.shape == (60, 5)
    assert not (near == torch.arange(60)[:, None]).any()
    encoder = session.networks.q_category.layers.eval()
    with torch.no_grad():
        features = principal_directions(encoder(session.float_images(torch.arange(60))).flatten(1), 16)
    candidates = (features @ features.T).fill_diagonal_(-9).topk(20).indices
    costs = DeformableMatcher(images, 2, 60, 20).costs(torch.arange(60), candidates)
    of_neighbours = DeformableMatcher(images, 2, 60, 5).costs(torch.arange(60), near)
    # Candidates of equal cost may come in any order, so costs are compared.
    assert of_neighbours.tolist() == costs.sort(dim=1).values[:, :5].tolist()
    scalars = stage.scalars()
    assert 0 < scalars["Neighbours/similarity"] <= 1
    share = of_neighbours.float().mean() / costs.float().mean()
    assert scalars["Neighbours/cost_share"] == pytest.approx(share.item())


def test_a_large_data_set_is_sampled_by_its_seed() -> None:
    images, _ = shapes(1500)
    samples = []
    for seed in (0, 0, 1):
        config = small_preset({"seed": seed, "clustering": {"neighbours": {"images": 1000}}})
        networks = build_networks(config, size=16, channels=3)
        samples.append(neighbour_sample(Session(config=config, networks=networks, images=images)))
    assert [len(sample.unique()) for sample in samples] == [1000] * 3
    assert torch.equal(samples[0], samples[0].sort().values)
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])
    session = Session(config=config, networks=networks, images=images[:1000])
    assert torch.equal(neighbour_sample(session), torch.arange(1000))
