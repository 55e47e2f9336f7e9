"""Contrastive pre-training of the category encoder (SimCLR, arXiv:2002.05709)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.train.clustering.stages import LearningStage, clustering_config
from infogan_tool.train.config.view_sets import views_of
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.engine.optimizer_step import OneCycleAdamW
from infogan_tool.train.infogan.augment import sample_augmentation

if TYPE_CHECKING:
    from infogan_tool.train.config.clustering import ContrastiveConfig
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session

_PROJECTION: Final = 64


class ContrastiveStage(LearningStage):
    """Minimise NT-Xent over the category encoder and a projection head, which is discarded afterwards."""

    name = "contrastive"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._config = clustering_config(session.config).contrastive
        self._view = views_of(clustering_config(session.config)).contrastive
        self._encoder = session.networks.q_category.layers.train()
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
        self._projection = self.extra_state = projection.to(session.device)
        steps = self.count_steps(session.config, len(session.images))
        parameters = [*self._encoder.parameters(), *self._projection.parameters()]
        self._adam = OneCycleAdamW(parameters, self._config.learning_rate, steps, self.optimizer_step)
        self.optimizers = {"adam": self._adam.optimizer}

    @classmethod
    def length_of(cls, config: TrainConfig) -> ContrastiveConfig:
        """Return the stage's table."""
        return clustering_config(config).contrastive

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the loss's name."""
        return ["Loss/contrastive"]

    def step(self, index: int) -> None:
        """Augment each image twice and minimise NT-Xent between the views."""
        count, shard = self.batch_size, self.shard
        images = self.session.float_images(self.batch(index)[shard]).repeat(2, 1, 1, 1)
        views = sample_augmentation(2 * count, self._view, self.rng)
        images = views.select(shard, slice(count + shard.start, count + shard.stop)).apply(images)
        with self.autocast():
            projected = self._projection(self._encoder(images).flatten(1)).float()
        projected = torch.cat(self.group.all_gather(count, *projected.chunk(2)))
        loss = contrastive_loss(projected, self._config.temperature)
        self._adam.step(index, {"Loss/contrastive": loss})
        self.meters.add(loss.detach().reshape(1))


def contrastive_loss(projected: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent (arXiv:2002.05709, equation 1) of ``(2 N, width)``; rows i and N + i are a pair."""
    count = len(projected) // 2
    unit = F.normalize(projected, dim=1)
    similarity = unit @ unit.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=projected.device)
    partner = torch.arange(2 * count, device=projected.device).roll(count)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner)
