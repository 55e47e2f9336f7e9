"""The nearest neighbours of each image: nearest in the encoder's features, then by deformation cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.clustering.deformation import DeformableMatcher
from infogan_tool.train.clustering.stages import SingleStepStage, clustering_config
from infogan_tool.train.config.view_sets import views_of
from infogan_tool.train.distributed.process_group import mixed_seed
from infogan_tool.train.engine.optimizer_step import check_finite
from infogan_tool.train.infogan.augment import random_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.clustering import NeighboursConfig
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.config.tables import ViewConfig
    from infogan_tool.train.data.source import ImageSource
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.engine.stage import Session

NEIGHBOURS: Final = "neighbours"
"""Name of the artifact: ``(n, count)`` int32, nearest first, both of :func:`neighbour_sample`."""
_CHUNK: Final = 500
_SMALL: Final = 1e-9
_PAIRS_CPU: Final = 1024
_PAIRS_GPU: Final = 8192
"""Pairs of images that are compared at a time."""


class NeighboursStage(SingleStepStage):
    """Find the neighbours of all images with the features of the contrastive stage."""

    name = "neighbours"

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the mean cosine of candidates, and of the neighbours' share of their cost."""
        return ["Neighbours/similarity", "Neighbours/cost_share"]

    def step(self, index: int) -> None:  # noqa: ARG002 - it is always 0
        """Encode the images of the sample and find the neighbours of each."""
        session, clustering = self.session, clustering_config(self.session.config)
        views = views_of(clustering)
        config = clustering.neighbours.model_copy(update={"compare": views.compare})
        sample, images = neighbour_sample(session), session.images
        features = self._encode(sample, views.contrastive, views.averaged)
        check_finite({"Neighbours/features": features.abs().max()}, [])  # a maximum keeps NaN
        features = principal_directions(features, config.pca_components)
        if len(sample) < len(images):
            images = images[sample]
        neighbours = nearest_neighbours(features, images, config, self.group, self.meters.add)
        session.artifacts[NEIGHBOURS] = neighbours

    @torch.no_grad()
    def _encode(self, sample: Tensor, view: ViewConfig, averaged: int) -> Tensor:
        """Return the features of images: those of the image itself, or the mean of ``averaged`` views."""
        encoder = self.session.networks.q_category.layers.eval()
        parts = []
        for images in self.session.image_chunks(_CHUNK, sample):
            if not averaged:
                parts.append(encoder(images).flatten(1))
                continue
            views = [encoder(random_view(images, view, self.rng)).flatten(1) for _ in range(averaged)]
            parts.append(torch.stack([F.normalize(features, dim=1) for features in views]).mean(dim=0))
        return torch.cat(parts)


def neighbour_sample(session: Session) -> Tensor:
    """Return the indices of the images whose neighbours are searched, ascending: all, or a random sample."""
    count, limit = len(session.images), clustering_config(session.config).neighbours.images
    if count <= limit:
        return torch.arange(count, device=session.device)
    rng = torch.Generator().manual_seed(mixed_seed(f"neighbours {session.config.seed}"))
    return torch.randperm(count, generator=rng)[:limit].sort().values.to(session.device)


def nearest_neighbours(
    features: Tensor,
    images: ImageSource,
    config: NeighboursConfig,
    group: ProcessGroup,
    report: Callable[[Tensor], None],
) -> Tensor:
    """Return the neighbours of each image: the candidates of the least deformation cost, or the nearest.

    Candidates are the images of the greatest cosine similarity of features. Features are fast to compare
    with all images, and unreliable for rare shapes; deformation is reliable, and would take hours on all
    pairs.

    Args:
        features: ``(N, width)`` of unit length.
        images: The images.
        config: Numbers of candidates and neighbours; ``compare`` is given.
        group: Processes, each of which compares its shard of every chunk.
        report: Called for each chunk with the mean similarity of candidates, and the ratio of the mean
            cost of neighbours to that of all candidates (1 - cosine where features are compared).

    Returns:
        ``(N, count)`` int32, nearest first.
    """
    total = len(images)
    num_candidates = min(config.candidates, total - 1)
    count = min(config.count, num_candidates)
    pairs = _PAIRS_GPU if images.device.type == "cuda" else _PAIRS_CPU
    at_a_time = max(1, pairs // num_candidates)
    matcher = None
    if config.compare == "deformation":
        matcher = DeformableMatcher(images, config.displacement, at_a_time, num_candidates)
    neighbours = torch.zeros(total, count, dtype=torch.int32, device=images.device)
    for chunk in torch.split(torch.arange(total, device=images.device), _CHUNK):
        own = chunk[group.shard(len(chunk))]
        similarity = features[own] @ features.T
        similarity.scatter_(1, own[:, None], -torch.inf)
        candidates = similarity.topk(num_candidates)
        costs = 1 - candidates.values
        if matcher is not None:
            parts = (torch.split(indices, at_a_time) for indices in (own, candidates.indices))
            costs = torch.cat([matcher.costs(*part) for part in zip(*parts, strict=True)])
        best = costs.topk(count, largest=False)
        nearest = candidates.indices.gather(1, best.indices).to(torch.int32)
        neighbours[chunk] = group.all_gather(len(chunk), nearest)[0]
        values = candidates.values, best.values.float(), costs.float()
        similarities, least, every = group.all_gather(len(chunk), *values)
        report(torch.stack([similarities.mean(), least.mean() / every.mean().clamp_min(_SMALL)]))
    return neighbours


def principal_directions(features: Tensor, dimensions: int) -> Tensor:
    """Return unit vectors ``(N, dimensions)``: the features along their strongest principal directions.

    Args:
        features: ``(N, width)``.
        dimensions: If it is at least the width, the features are only normalised.
    """
    unit = F.normalize(features, dim=1)
    if dimensions >= unit.shape[1]:
        return unit
    centred = unit - unit.mean(dim=0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    return F.normalize(centred @ directions[:, -dimensions:], dim=1)
