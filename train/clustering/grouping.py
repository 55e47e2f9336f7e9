"""Cluster assignments: the graph of neighbours is partitioned into as many groups as there are categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from infogan_tool.train.clustering.neighbours import NEIGHBOURS, neighbour_sample
from infogan_tool.train.clustering.stages import SingleStepStage, clustering_config

if TYPE_CHECKING:
    from infogan_tool.train.config.clustering import GroupingConfig
    from infogan_tool.train.config.schema import TrainConfig

GROUPS: Final = "groups"
"""Name of the artifact: ``(N,)`` int64; :data:`UNGROUPED` for images that have no neighbours."""
UNGROUPED: Final = -100


class GroupingStage(SingleStepStage):
    """Partition the graph of neighbours with :func:`best_partition`."""

    name = "grouping"

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the name of the information, whose mean over the restarts is logged."""
        return ["MI/neighbours"]

    def step(self, index: int) -> None:  # noqa: ARG002 - it is always 0
        """Partition the graph in the main process only, which saves the memory of the others."""
        session, config = self.session, clustering_config(self.session.config).grouping
        sample = neighbour_sample(session).cpu()
        groups = torch.full((len(session.images),), UNGROUPED)
        values = torch.zeros(config.restarts, dtype=torch.float64)
        if self.group.is_main:
            neighbours, num_groups = session.artifacts[NEIGHBOURS], session.config.latent.categorical[0]
            groups[sample], values = best_partition(neighbours, num_groups, config, self.seed)
        session.artifacts = {GROUPS: self.group.broadcast(groups).to(session.device)}
        for value in self.group.broadcast(values):
            self.meters.add(value.reshape(1).to(session.device))


def best_partition(
    neighbours: Tensor, num_groups: int, config: GroupingConfig, seed: int
) -> tuple[Tensor, Tensor]:
    """Partition the graph of neighbours several times; the partition of the greatest information is kept.

    Args:
        neighbours: ``(N, count)`` indices of the neighbours of each image.
        num_groups: Groups of the partition.
        config: Numbers of restarts and initial clusters.
        seed: Seed of the first partition; each further one adds 1.

    Returns:
        The group of each image ``(N,)`` int64, and the information of each partition in nats ``(restarts,)``.
    """
    from infogan_tool.train.clustering.partition import GraphPartitioner  # noqa: PLC0415 - scikit-learn: a second

    partitioner = GraphPartitioner(
        neighbours.cpu().long().numpy(),
        num_groups,
        eigenvectors=config.eigenvectors,
        clusters=config.clusters,
    )
    partitions = [partitioner.partition((seed + index) % 2**32) for index in range(config.restarts)]
    groups, _ = max(partitions, key=lambda partition: partition[1])
    values = torch.tensor([value for _, value in partitions], dtype=torch.float64)
    return torch.from_numpy(groups).to(torch.int64), values
