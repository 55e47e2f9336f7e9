"""The contrastive pretext: two views of an image find each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.train.clustering.schedule import CycledAdam, LearningStage
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.infogan.augment import draw_changes

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import ContrastiveConfig, TrainConfig
    from infogan_tool.train.engine.stage import Session

__all__ = ["ContrastiveStage", "contrastive_loss"]

_PROJECTION: Final = 64


class ContrastiveStage(LearningStage):
    """NT-Xent on the encoder's features through a projection head that is thrown away afterwards."""

    name = "contrastive"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config = _config(session.config)
        self._encoder = session.networks.branches[0].layers.train()
        width = session.config.networks.q_features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            projection = nn.Sequential(
                nn.Linear(width, width, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Linear(width, _PROJECTION),
            )
        convert_sync_batchnorm(projection, self.group)
        self._projection = projection.to(session.device)
        steps = self.count_steps(session.config, len(session.images))
        parameters = [*self._encoder.parameters(), *self._projection.parameters()]
        self._adam = CycledAdam(parameters, config.learning_rate, steps, self)

    @classmethod
    def epochs_of(cls, config: TrainConfig) -> float:
        """Return the config's passes."""
        return _config(config).epochs

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the one scalar's name."""
        return ["Loss/pretext"]

    def step(self, index: int) -> None:
        """Change each image twice and pull the two together."""
        config = _config(self.session.config)
        count, mine = self.batch_size, self.shard
        images = self.session.float_images(self.batch(index)[mine]).repeat(2, 1, 1, 1)
        changes = draw_changes(2 * count, config.view, self.rng)
        images = changes.rows(mine, slice(count + mine.start, count + mine.stop)).apply(images)
        with self._adam.autocast():
            projected = self._projection(self._encoder(images).flatten(1)).float()
        projected = torch.cat(self.group.all_gather(count, *projected.chunk(2)))
        loss = contrastive_loss(projected, config.temperature)
        self._adam.update(index, {"Loss/pretext": loss})
        self.meters.add(loss.detach().reshape(1))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"adam": self._adam.optimizer}

    def tensors(self) -> dict[str, Tensor]:
        """Return the projection head."""
        return self._projection.state_dict()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take the projection head back."""
        self._projection.load_state_dict(tensors)


def contrastive_loss(projected: Tensor, temperature: float) -> Tensor:
    """NT-Xent (arXiv:2002.05709, equation 1) of ``(2 N, width)``; rows i and N + i are a pair."""
    count = len(projected) // 2
    unit = F.normalize(projected, dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=projected.device)
    partner = torch.arange(2 * count, device=projected.device).roll(count)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)


def _config(config: TrainConfig) -> ContrastiveConfig:
    assert config.clustering is not None
    return config.clustering.contrastive
