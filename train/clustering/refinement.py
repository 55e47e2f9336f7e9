"""From groups of the training images to a posterior that reads any image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.clustering.grouping import GROUPS
from infogan_tool.train.clustering.schedule import CycledAdam, LearningStage
from infogan_tool.train.engine.ema import average_into, averaged_copy
from infogan_tool.train.infogan.augment import draw_changes

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import RefinementConfig, TrainConfig
    from infogan_tool.train.engine.stage import Session

__all__ = ["RefinementStage", "view_information"]

_LEAST: Final = 1e-8


class RefinementStage(LearningStage):
    """The mutual information between the categories of two weak views rises, from the groups on.

    The groups alone would be learned with their errors, and the information alone would drift: together the
    one says which categories, the other where an image belongs that the groups have wrong.
    """

    name = "refinement"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config = _config(session.config)
        self._branch = session.networks.branches[0].train()
        steps = self.count_steps(session.config, len(session.images))
        parameters = list(self._branch.parameters())
        self._adam = CycledAdam(parameters, config.learning_rate, steps, self)
        self._average = averaged_copy(self._branch)

    @classmethod
    def epochs_of(cls, config: TrainConfig) -> float:
        """Return the config's passes."""
        return _config(config).epochs

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the information and of the groups' cross-entropy."""
        return ["MI/views", "Loss/groups"]

    def step(self, index: int) -> None:
        """Compare the categories of two views of each image with each other and with its group."""
        config = _config(self.session.config)
        count, batch = self.batch_size, self.batch(index)
        images = self.session.float_images(batch[self.shard])
        drawn = [draw_changes(count, view, self.rng) for view in (config.view, config.second_view)]
        views = [changes.rows(self.shard).apply(images) for changes in drawn]
        with self._adam.autocast():
            logits = self._branch(torch.cat(views)).logits
        logits = torch.cat(self.group.all_gather(count, *logits.float().chunk(2)))
        information = view_information(*logits.softmax(dim=1).chunk(2))
        error = F.cross_entropy(logits[:count], self.session.artifacts[GROUPS][batch])
        self._adam.update(
            index, {"-MI/views": -information, "Loss/groups": config.pseudo_label_weight * error}
        )
        average_into(self._average, self._branch, config.ema_decay)
        self.meters.add(torch.stack([information.detach(), error.detach()]))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"adam": self._adam.optimizer}

    def tensors(self) -> dict[str, Tensor]:
        """Return the averaged branch."""
        return self._average.state_dict()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self._average.load_state_dict(tensors)

    def finish(self) -> None:
        """Put the averaged weights in the place of the last ones, and let the groups go."""
        self._branch.load_state_dict(self._average.state_dict())
        self.session.artifacts.clear()


def view_information(first: Tensor, second: Tensor) -> Tensor:
    """I(A; B) in nats of two posteriors ``(N, k)`` of the same images (IIC, arXiv:1807.06653)."""
    joint = first.T @ second / len(first)
    joint = ((joint + joint.T) / 2).clamp_min(_LEAST)
    margin = joint.sum(dim=0)
    return (joint * (joint.log() - margin.log()[:, None] - margin.log()[None])).sum()


def _config(config: TrainConfig) -> RefinementConfig:
    assert config.clustering is not None
    return config.clustering.refinement
