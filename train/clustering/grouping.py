"""From neighbours to groups of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from infogan_tool.train.clustering.neighbours import NEIGHBOURS
from infogan_tool.train.clustering.partition import Partition
from infogan_tool.train.engine.stage import Session, Stage

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import GroupingConfig, TrainConfig

__all__ = ["GROUPS", "GroupingStage"]

GROUPS: Final = "groups"
"""Name of the artifact: ``(N,)`` int64."""


class GroupingStage(Stage):
    """Each step cuts the graph of neighbours anew; the cut of the greatest information stays."""

    name = "grouping"
    shares_batches = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config = _config(session.config)
        # The other processes would need as much memory again for it, and wait for it too.
        self._partition = (
            None
            if not self.group.is_main
            else Partition(
                session.artifacts[NEIGHBOURS].cpu().long().numpy(),
                session.config.latent.categorical[0],
                directions=config.eigenvectors,
                clusters=config.clusters,
            )
        )
        self._groups = torch.zeros(len(session.images), dtype=torch.int64)
        self._information = torch.tensor(-torch.inf, dtype=torch.float64)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return 1: a step is about all images at once."""
        return 1

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the number of tries."""
        return _config(config).restarts

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the name of the information of each try."""
        return ["MI/neighbours"]

    @property
    def steps_per_epoch(self) -> int:
        """All tries are one pass."""
        return _config(self.session.config).restarts

    def step(self, index: int) -> None:
        """Cut the graph, and keep the cut if it is the best so far."""
        groups = torch.empty_like(self._groups)
        information = torch.empty(1, dtype=torch.float64)
        if self._partition is not None:
            found, value = self._partition.find((self.seed + index) % 2**32)
            groups, information = torch.from_numpy(found).to(groups), information.fill_(value)
        groups, information = self.group.broadcast(groups), self.group.broadcast(information)
        if information > self._information:
            self._groups.copy_(groups)
            self._information.copy_(information[0])
        self.meters.add(information.to(self.meters.sums.device))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return none."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the best cut so far and its information."""
        return {"groups": self._groups, "information": self._information}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self._groups.copy_(tensors["groups"])
        self._information.copy_(tensors["information"])

    def finish(self) -> None:
        """Leave the groups for the next stage, and let the neighbours go."""
        self.session.artifacts.clear()
        self.session.artifacts[GROUPS] = self._groups.to(self.session.device)


def _config(config: TrainConfig) -> GroupingConfig:
    assert config.clustering is not None
    return config.clustering.grouping
