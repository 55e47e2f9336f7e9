"""From neighbours to categories, and the categories sharpened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from infogan_tool.train.augment import random_view
from infogan_tool.train.averaging import average_into, averaged_copy
from infogan_tool.train.posterior.neighbours import NEIGHBOURS
from infogan_tool.train.posterior.steps import CycledAdam
from infogan_tool.train.stage import Session, Stage, whole_batches

if TYPE_CHECKING:
    from infogan_tool.train.config import PosteriorConfig, TrainConfig

__all__ = ["ConsistencyStage", "RefinementStage", "neighbour_disagreement", "view_information"]

_LEAST = 1e-8


class _GroupingStage(Stage):
    """What both stages share: they train the first branch of Q, encoder and category head."""

    def __init__(self, session: Session, rate: float) -> None:
        super().__init__(session)
        self._branch = session.networks.branches[0].train()
        steps = self.count_steps(session.config, len(session.images))
        self._adam = CycledAdam(list(self._branch.parameters()), rate, steps, session.config.precision)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the posterior stages' batch size."""
        return _config(config).batch_size

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"adam": self._adam.optimizer}

    def _probabilities(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posteriors ``(N, k)`` of the first and second half of pictures ``(2 N, C, H, W)``."""
        with self._adam.autocast():
            logits = self._branch(images).logits
        first, second = logits.float().softmax(dim=1).chunk(2)
        return first, second


class ConsistencyStage(_GroupingStage):
    """A picture and one of its neighbours fall into one category; the categories share the pictures."""

    name = "consistency"

    def __init__(self, session: Session) -> None:
        super().__init__(session, _config(session.config).consistency.learning_rate)

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the stage's epochs in steps."""
        return round(_config(config).consistency.epochs * whole_batches(count, cls.batch_size_of(config)))

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of disagreement and balance."""
        return ["Loss/disagreement", "MI/balance"]

    def step(self, index: int) -> None:
        """Draw a neighbour for each picture and pull their posteriors together."""
        config, near = _config(self.session.config).consistency, self.session.artifacts[NEIGHBOURS]
        mine = self.batch(index)
        pick = torch.randint(near.shape[1], (len(mine),), generator=self.rng, device=self.rng.device)
        images = self.session.pictures(torch.cat([mine, near[mine, pick].long()]))
        first, second = self._probabilities(random_view(images, config.view, self.rng))
        disagreement, balance = neighbour_disagreement(first, second), _entropy(first.mean(dim=0))
        terms = {"Loss/disagreement": disagreement, "MI/balance": -config.entropy_weight * balance}
        self._adam.update(index, terms)
        self.meters.add(torch.stack([disagreement, balance]).detach())


class RefinementStage(_GroupingStage):
    """The mutual information between the categories of two weak views rises; weights are averaged."""

    name = "refinement"

    def __init__(self, session: Session) -> None:
        config = _config(session.config).refinement
        super().__init__(session, config.learning_rate)
        self._average = averaged_copy(self._branch)

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the stage's epochs in steps."""
        return round(_config(config).refinement.epochs * whole_batches(count, cls.batch_size_of(config)))

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the one scalar's name."""
        return ["MI/views"]

    def step(self, index: int) -> None:
        """Compare the categories of two views of each picture."""
        config = _config(self.session.config).refinement
        images = self.session.pictures(self.batch(index))
        views = [random_view(images, view, self.rng) for view in (config.view, config.second_view)]
        information = view_information(*self._probabilities(torch.cat(views)))
        self._adam.update(index, {"MI/views": -information})
        average_into(self._average, self._branch, config.average_decay)
        self.meters.add(information.detach().reshape(1))

    def tensors(self) -> dict[str, Tensor]:
        """Return the averaged branch."""
        return self._average.state_dict()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self._average.load_state_dict(tensors)

    def finish(self) -> None:
        """Put the averaged weights in the place of the last ones."""
        self._branch.load_state_dict(self._average.state_dict())


def neighbour_disagreement(first: Tensor, second: Tensor) -> Tensor:
    """-log of two posteriors' ``(N, k)`` inner product, mean over N (SCAN, arXiv:2005.12320, equation 2)."""
    return -(first * second).sum(dim=1).clamp_min(_LEAST).log().mean()


def view_information(first: Tensor, second: Tensor) -> Tensor:
    """I(A; B) in nats of two posteriors ``(N, k)`` of the same pictures (IIC, arXiv:1807.06653)."""
    joint = first.T @ second / len(first)
    joint = ((joint + joint.T) / 2).clamp_min(_LEAST)
    margin = joint.sum(dim=0)
    return (joint * (joint.log() - margin.log()[:, None] - margin.log()[None])).sum()


def _entropy(probabilities: Tensor) -> Tensor:
    return -(probabilities * probabilities.clamp_min(_LEAST).log()).sum()


def _config(config: TrainConfig) -> PosteriorConfig:
    assert config.posterior is not None
    return config.posterior
