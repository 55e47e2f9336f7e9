"""Named sets of views: which random changes do not alter what an image shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from infogan_tool.train.config.tables import ViewConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infogan_tool.train.config.clustering import ClusteringConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewSet:
    """The augmentation of each clustering stage."""

    contrastive: ViewConfig
    """Both views of contrastive learning."""
    refinement: ViewConfig
    """First view of refinement."""
    second: ViewConfig
    """Second view of refinement."""
    compare: Literal["deformation", "features"]
    """How neighbours are compared."""
    averaged: int
    """Strong views whose mean feature is an image's feature; 0: that of the image itself."""


VIEW_SETS: Final[Mapping[str, ViewSet]] = {
    "strokes": ViewSet(
        contrastive=ViewConfig(affine=1.3, stroke=1.0),
        refinement=ViewConfig(affine=0.5, stroke=0.5),
        second=ViewConfig(affine=0.3, stroke=0.5),
        compare="deformation",
        averaged=0,
    ),
    "silhouettes": ViewSet(
        contrastive=ViewConfig(pose=1.0, centred=True, blur=0.12, mirror=1.0),
        refinement=ViewConfig(pose=1.0, mirror=1.0),
        second=ViewConfig(pose=0.5, mirror=1.0),
        compare="features",
        averaged=8,
    ),
    "objects": ViewSet(
        contrastive=ViewConfig(crop=0.6, mirror=1.0, colour=0.4, affine=0.3),
        refinement=ViewConfig(crop=0.3, mirror=1.0, colour=0.2, affine=0.2),
        second=ViewConfig(crop=0.2, mirror=1.0, colour=0.1),
        compare="features",
        averaged=0,
    ),
    "shapes": ViewSet(
        contrastive=ViewConfig(crop=0.6, mirror=1.0, hue=1.0, affine=0.3),
        refinement=ViewConfig(crop=0.4, mirror=1.0, hue=1.0, affine=0.2),
        second=ViewConfig(crop=0.3, mirror=1.0, hue=1.0),
        compare="features",
        averaged=8,
    ),
    "none": ViewSet(
        contrastive=ViewConfig(),
        refinement=ViewConfig(),
        second=ViewConfig(),
        compare="features",
        averaged=0,
    ),
}
"""All sets by name; docs/guide/your-images.md says how to choose."""


def views_of(config: ClusteringConfig) -> ViewSet:
    """Return the set that ``config`` names, with the views that it gives itself in place of the set's."""
    named, averaged = VIEW_SETS[config.views], config.neighbours.averaged_views
    return ViewSet(
        contrastive=config.contrastive.view or named.contrastive,
        refinement=config.refinement.view or named.refinement,
        second=config.refinement.second_view or named.second,
        compare=config.neighbours.compare or named.compare,
        averaged=named.averaged if averaged is None else averaged,
    )
