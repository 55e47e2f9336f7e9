"""Named views of the clustering stages."""

import pytest
import torch
from coloured_shapes import shapes, small_preset

from infogan_tool.runtime.errors import ConfigError
from infogan_tool.train.clustering.neighbours import NEIGHBOURS, NeighboursStage, principal_directions
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.config.schema import TrainConfig
from infogan_tool.train.config.tables import ViewConfig
from infogan_tool.train.config.view_sets import VIEW_SETS, ViewSet, views_of
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.networks import build_networks


def views(config: TrainConfig) -> ViewSet:
    assert config.clustering is not None
    return views_of(config.clustering)


def test_strokes_are_the_default() -> None:
    found = views(resolve_config())
    assert found == VIEW_SETS["strokes"]
    assert (found.contrastive, found.compare) == (ViewConfig(affine=1.3, stroke=1), "deformation")
    assert found.averaged == 0
    assert found.refinement == ViewConfig(affine=0.5, stroke=0.5)
    assert found.second == ViewConfig(affine=0.3, stroke=0.5)


@pytest.mark.parametrize("name", VIEW_SETS)
def test_every_name_is_a_value_of_the_config(name: str) -> None:
    assert views(resolve_config(flags={"clustering": {"views": name}})) == VIEW_SETS[name]


def test_views_that_the_config_gives_replace_those_of_the_set() -> None:
    changes = {
        "views": "silhouettes",
        "contrastive": {"view": {"crop": 0.3}},
        "neighbours": {"compare": "deformation", "averaged_views": 0},
    }
    config = resolve_config(flags={"clustering": changes})
    found = views(config)
    assert found.contrastive == ViewConfig(crop=0.3)
    assert found.refinement == VIEW_SETS["silhouettes"].refinement
    assert (found.compare, found.averaged) == ("deformation", 0)


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"'clustering\.views'.*'strokes'"):
        resolve_config(flags={"clustering": {"views": "stroke"}})


def test_silhouettes_never_shear() -> None:
    silhouettes = VIEW_SETS["silhouettes"]
    for view in (silhouettes.contrastive, silhouettes.refinement, silhouettes.second):
        assert (view.affine, view.elastic, view.stroke) == (0, 0, 0)


def test_neighbours_by_features_alone() -> None:
    images, _ = shapes(60)
    config = small_preset({"clustering": {"views": "objects"}})
    session = Session(config=config, networks=build_networks(config, size=16, channels=3), images=images)
    stage = NeighboursStage(session)
    stage.step(0)
    encoder = session.networks.q_category.layers.eval()
    with torch.no_grad():
        features = principal_directions(encoder(session.float_images(torch.arange(60))).flatten(1), 16)
    nearest = (features @ features.T).fill_diagonal_(-9).topk(5).indices
    assert session.artifacts[NEIGHBOURS].tolist() == nearest.tolist()


@pytest.mark.parametrize(("averaged", "found"), [(0, 0.3), (60, 0.95)])
def test_averaged_views_bring_mirror_images_together(averaged: int, found: float) -> None:
    """Each of 60 images has its mirror image in the set, and the views mirror at random."""
    images, _ = shapes(60)
    noise = torch.randint(0, 120, images.shape, generator=torch.Generator().manual_seed(0))
    images = (images // 2 + noise).to(torch.uint8)
    config = small_preset(
        {
            "clustering": {
                "views": "none",
                "contrastive": {"view": {"mirror": 1.0}},
                "neighbours": {"averaged_views": averaged, "count": 1},
            }
        }
    )
    session = Session(
        config=config,
        networks=build_networks(config, size=16, channels=3),
        images=torch.cat([images, images.flip(3)]),
    )
    NeighboursStage(session).step(0)
    twins = (torch.arange(120) + 60) % 120
    share = (session.artifacts[NEIGHBOURS][:, 0] == twins).float().mean()
    assert share > found if averaged else share < found
