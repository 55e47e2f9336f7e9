"""From neighbours to categories, and the categories sharpened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from infogan_tool.train.augment import random_view
from infogan_tool.train.averaging import average_into, averaged_copy
from infogan_tool.train.posterior.candidates import keep_candidate
from infogan_tool.train.posterior.neighbours import NEIGHBOURS
from infogan_tool.train.posterior.steps import CycledAdam
from infogan_tool.train.stage import Session, Stage, whole_batches

if TYPE_CHECKING:
    from infogan_tool.train.config import PosteriorConfig, TrainConfig

__all__ = ["ConsistencyStage", "RefinementStage", "neighbour_disagreement", "view_information"]

_LEAST: Final = 1e-8
_LOSS_MEMORY: Final = 0.99
"""Share of a head's running loss that stays at each step: about the last hundred steps count."""


class _GroupingStage(Stage):
    """What both stages share: they train the first branch of Q, encoder and category head."""

    def __init__(self, session: Session, rate: float, more: list[nn.Parameter] | None = None) -> None:
        super().__init__(session)
        self._branch = session.networks.branches[0].train()
        steps = self.count_steps(session.config, len(session.images))
        parameters = [*self._branch.parameters(), *(more or [])]
        self._adam = CycledAdam(parameters, rate, steps, session.config.precision)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the posterior stages' batch size."""
        return _config(config).batch_size

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"adam": self._adam.optimizer}


class ConsistencyStage(_GroupingStage):
    """A picture and one of its neighbours fall into one category; the categories share the pictures.

    Now and then a head settles in a bad optimum, two categories sharing a thing and two things sharing a
    category. Its loss says so, without labels: several heads learn on the one encoder and the best one stays.
    """

    name = "consistency"

    def __init__(self, session: Session) -> None:
        config = _config(session.config).consistency
        self._heads = _new_heads(session, config.heads)
        super().__init__(session, config.learning_rate, list(self._heads.parameters()))
        self._head_losses = torch.zeros(config.heads, device=session.device)

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the stage's epochs in steps."""
        return round(_config(config).consistency.epochs * whole_batches(count, cls.batch_size_of(config)))

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of each head's loss, and of the best one's disagreement and balance."""
        heads = range(_config(config).consistency.heads)
        return [*(f"Loss/head{i + 1}" for i in heads), "MI/disagreement", "MI/balance"]

    def step(self, index: int) -> None:
        """Draw a neighbour for each picture and pull their posteriors together, for each head."""
        config = _config(self.session.config).consistency
        near = self.session.artifacts[f"{NEIGHBOURS}.{self.session.round}"]
        mine = self.batch(index)
        pick = torch.randint(near.shape[1], (len(mine),), generator=self.rng, device=self.rng.device)
        images = self.session.pictures(torch.cat([mine, near[mine, pick].long()]))
        with self._adam.autocast():
            features = self._branch.layers(random_view(images, config.view, self.rng))
        terms = []
        for head in self._heads:
            first, second = head(features.float()).flatten(1).softmax(dim=1).chunk(2)
            terms.append(torch.stack([neighbour_disagreement(first, second), _entropy(first.mean(dim=0))]))
        parts = torch.stack(terms)
        losses = parts[:, 0] - config.entropy_weight * parts[:, 1]
        self._adam.update(index, {"Loss/consistency": losses.mean()})
        losses, parts = losses.detach(), parts.detach()
        self._head_losses.lerp_(losses, 1 - _LOSS_MEMORY)
        self.meters.add(torch.cat([losses, parts[self._head_losses.argmin()]]))

    def tensors(self) -> dict[str, Tensor]:
        """Return the heads and their losses."""
        return {**self._heads.state_dict(), "losses": self._head_losses}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self._head_losses.copy_(tensors["losses"])
        self._heads.load_state_dict({name: t for name, t in tensors.items() if name != "losses"})

    def finish(self) -> None:
        """Put the best head into its place."""
        assert self._branch.logits is not None
        best = self._heads[int(self._head_losses.argmin())]
        self._branch.logits.load_state_dict(best.state_dict())


def _new_heads(session: Session, count: int) -> nn.ModuleList:
    head = session.networks.branches[0].logits
    assert head is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(session.seed)
        heads = [nn.Conv2d(head.in_channels, head.out_channels, 1) for _ in range(count)]
    return nn.ModuleList(heads).to(session.device)


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
        with self._adam.autocast():
            logits = self._branch(torch.cat(views)).logits
        information = view_information(*logits.float().softmax(dim=1).chunk(2))
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
        """Put the averaged weights in the place of the last ones, and lay the result aside for the choice."""
        self._branch.load_state_dict(self._average.state_dict())
        keep_candidate(self.session)


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
