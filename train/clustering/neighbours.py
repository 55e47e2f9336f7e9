"""The images nearest to each: near in the encoder's features, then nearest by deformation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.clustering.deformation import DeformableMatcher
from infogan_tool.train.engine.optimizer_step import stop_if_not_finite
from infogan_tool.train.engine.stage import Session, Stage

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import NeighboursConfig, TrainConfig

__all__ = ["NEIGHBOURS", "NeighboursStage", "principal_directions"]

NEIGHBOURS: Final = "neighbours"
"""Name of the artifact: ``(N, count)`` int32, nearest first."""
_CHUNK: Final = 500
_PAIRS_CPU: Final = 1024
_PAIRS_GPU: Final = 8192


class NeighboursStage(Stage):
    """Candidates by cosine on the strongest principal directions of the features; the best by deformation.

    Features know at once where to look among all images, and err about rare shapes; deformation knows
    better, and would take hours on all pairs.
    """

    name = "neighbours"
    shares_batches = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._config = _config(session.config)
        total = len(session.images)
        self._candidates = min(self._config.candidates, total - 1)
        self._count = min(self._config.count, self._candidates)
        features = self._encode()
        stop_if_not_finite({"Neighbours/features": features.abs().max()}, [])  # a maximum keeps NaN
        self._features = principal_directions(features, self._config.pca_components)
        pairs = _PAIRS_GPU if session.device.type == "cuda" else _PAIRS_CPU
        self._at_a_time = max(1, pairs // self._candidates)
        self._matcher = DeformableMatcher(
            session.images, self._config.displacement, self._at_a_time, self._candidates
        )
        self._found = torch.zeros(total, self._count, dtype=torch.int32, device=session.device)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return how many images' neighbours a step finds."""
        return _CHUNK

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the number of chunks."""
        return -(-count // _CHUNK)

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the mean cosine, and of the share of candidates' cost that the nearest have."""
        return ["Neighbours/similarity", "Neighbours/cost_share"]

    @property
    def steps_per_epoch(self) -> int:
        """All chunks are one pass."""
        return self.count_steps(self.session.config, len(self.session.images))

    def step(self, index: int) -> None:
        """Find the neighbours of one chunk of images."""
        total = len(self._features)
        chunk = torch.arange(total, device=self._features.device)[index * _CHUNK : (index + 1) * _CHUNK]
        mine = chunk[self.group.shard(len(chunk))]
        similarity = self._features[mine] @ self._features.T
        similarity.scatter_(1, mine[:, None], -torch.inf)
        near = similarity.topk(self._candidates)
        parts = (torch.split(numbers, self._at_a_time) for numbers in (mine, near.indices))
        costs = torch.cat([self._matcher.costs(*part) for part in zip(*parts, strict=True)])
        best = costs.topk(self._count, largest=False)
        found = near.indices.gather(1, best.indices).to(torch.int32)
        self._found[chunk] = self.group.all_gather(len(chunk), found)[0]
        seen = near.values, best.values.float(), costs.float()
        similarities, least, every = self.group.all_gather(len(chunk), *seen)
        share = least.mean() / every.mean().clamp_min(1)
        self.meters.add(torch.stack([similarities.mean(), share]))

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
        self.session.artifacts[NEIGHBOURS] = self._found

    @torch.no_grad()
    def _encode(self) -> Tensor:
        session = self.session
        encoder = session.networks.branches[0].layers.eval()
        return torch.cat([encoder(images).flatten(1) for images in session.in_chunks(_CHUNK)])


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
    assert config.clustering is not None
    return config.clustering.neighbours
