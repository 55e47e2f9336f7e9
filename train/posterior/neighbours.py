"""The pictures nearest to each in the encoder's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.stage import Session, Stage

if TYPE_CHECKING:
    from infogan_tool.train.config import NeighboursConfig, TrainConfig

__all__ = ["NEIGHBOURS", "NeighboursStage", "principal_directions"]

NEIGHBOURS: Final = "neighbours"
"""Name of the artifact, with the round behind a dot: ``(N, count)`` int32, nearest first."""
_CHUNK: Final = 1000


class NeighboursStage(Stage):
    """Brute force by cosine, on the strongest principal directions of the features."""

    name = "neighbours"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._count = _config(session.config).count
        self._features = principal_directions(self._encode(), _config(session.config).dimensions)
        count = len(session.images)
        self._found = torch.zeros(count, self._count, dtype=torch.int32, device=session.device)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return how many pictures' neighbours a step finds."""
        return _CHUNK

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the number of chunks."""
        return -(-count // _CHUNK)

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the one scalar's name."""
        return ["Neighbours/similarity"]

    @property
    def steps_per_epoch(self) -> int:
        """All chunks are one pass."""
        return self.count_steps(self.session.config, len(self.session.images))

    def step(self, index: int) -> None:
        """Find the neighbours of one chunk of pictures."""
        rows = slice(index * _CHUNK, (index + 1) * _CHUNK)
        similarity = self._features[rows] @ self._features.T
        mine = torch.arange(len(self._features), device=self._features.device)[rows, None]
        nearest = similarity.scatter_(1, mine, -torch.inf).topk(self._count)
        self._found[rows] = nearest.indices.to(torch.int32)
        self.meters.add(nearest.values.mean().reshape(1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return none."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the neighbours found so far."""
        return {"found": self._found}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self._found.copy_(tensors["found"])

    def finish(self) -> None:
        """Leave the neighbours for the next stage."""
        self.session.artifacts[f"{NEIGHBOURS}.{self.session.round}"] = self._found

    @torch.no_grad()
    def _encode(self) -> Tensor:
        session = self.session
        encoder = session.networks.branches[0].layers.eval()
        return torch.cat([encoder(pictures).flatten(1) for pictures in session.in_chunks(_CHUNK)])


def principal_directions(features: Tensor, dimensions: int) -> Tensor:
    """Return unit vectors ``(N, dimensions)``: the features along their strongest principal directions.

    Args:
        features: ``(N, width)``.
        dimensions: At least the width keeps the features as they are, but of unit length.
    """
    unit = F.normalize(features, dim=1)
    if dimensions >= unit.shape[1]:
        return unit
    centred = unit - unit.mean(dim=0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    return F.normalize(centred @ directions[:, -dimensions:], dim=1)


def _config(config: TrainConfig) -> NeighboursConfig:
    assert config.posterior is not None
    return config.posterior.neighbours
