"""Refinement: Q's category encoder is trained with the cluster assignments as pseudo-labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.clustering.grouping import GROUPS, UNGROUPED
from infogan_tool.train.clustering.stages import LearningStage, clustering_config
from infogan_tool.train.config.view_sets import views_of
from infogan_tool.train.engine.ema import ema_copy, update_ema
from infogan_tool.train.engine.optimizer_step import OneCycleAdamW
from infogan_tool.train.infogan.augment import sample_augmentation

if TYPE_CHECKING:
    from infogan_tool.train.config.clustering import RefinementConfig
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session

_MIN_PROBABILITY: Final = 1e-8


class RefinementStage(LearningStage):
    """Maximise the mutual information between the categories of two weak views, with the groups as targets.

    Cross-entropy with the groups alone would learn their errors; the information alone would drift away from
    them. Together, the groups define the categories, and the information corrects images whose group is
    wrong.
    """

    name = "refinement"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._config = clustering_config(session.config).refinement
        views = views_of(clustering_config(session.config))
        self._views = views.refinement, views.second
        self._encoder = session.networks.q_category.train()
        groups = session.artifacts[GROUPS]
        self._sample = torch.nonzero(groups != UNGROUPED).flatten()
        steps = self.count_steps(session.config, len(session.images))
        parameters = list(self._encoder.parameters())
        self._adam = OneCycleAdamW(parameters, self._config.learning_rate, steps, self.optimizer_step)
        self.optimizers = {"adam": self._adam.optimizer}
        self._ema = self.extra_state = ema_copy(self._encoder)

    @property
    def sample(self) -> Tensor:
        """Images that have a pseudo-label; the information alone would not find the groups of the others."""
        return self._sample

    @classmethod
    def length_of(cls, config: TrainConfig) -> RefinementConfig:
        """Return the stage's table."""
        return clustering_config(config).refinement

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the information and of the cross-entropy with the groups."""
        return ["MI/views", "Loss/groups"]

    def step(self, index: int) -> None:
        """Compare the categories of two views of each image with each other and with its group."""
        config, count, batch = self._config, self.batch_size, self.batch(index)
        images = self.session.float_images(batch[self.shard])
        augmentations = [sample_augmentation(count, view, self.rng) for view in self._views]
        views = [augmentation.select(self.shard).apply(images) for augmentation in augmentations]
        with self.autocast():
            logits = self._encoder(torch.cat(views)).logits
        logits = torch.cat(self.group.all_gather(count, *logits.float().chunk(2)))
        information = view_information(*logits.softmax(dim=1).chunk(2))
        error = F.cross_entropy(logits[:count], self.session.artifacts[GROUPS][batch])
        self._adam.step(index, {"-MI/views": -information, "Loss/groups": config.pseudo_label_weight * error})
        update_ema(self._ema, self._encoder, config.ema_decay)
        self.meters.add(torch.stack([information.detach(), error.detach()]))

    def finish(self) -> None:
        """Replace the encoder's weights by their EMA, and delete the groups."""
        self._encoder.load_state_dict(self._ema.state_dict())
        self.session.artifacts.clear()


def view_information(first: Tensor, second: Tensor) -> Tensor:
    """Return I(A; B) in nats of two posteriors ``(N, k)`` of the same images (IIC, arXiv:1807.06653)."""
    joint = first.T @ second / len(first)
    joint = ((joint + joint.T) / 2).clamp_min(_MIN_PROBABILITY)
    margin = joint.sum(dim=0)
    return (joint * (joint.log() - margin.log()[:, None] - margin.log()[None])).sum()
