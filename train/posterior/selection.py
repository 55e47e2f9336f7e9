"""Which of several posteriors to keep, without labels: the one that neighbours agree on most, whoever's.

The four stages before this one end in one of a few optima, which differ in where some hundred pictures of a
rare shape go as a block. No loss of the training tells them apart, since each was trained on its own
neighbours. So they are done several times from other weights, and each result is scored on the neighbours of
*all* rounds::

    score(q) = mean over rounds r of  I(k(x); k(y)),   y a neighbour of x in round r's features

with k the category of the highest probability. This rewards at once that neighbours share a category and that
the categories are told apart and used alike, as the prior of the code says they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from infogan_tool.train.posterior.candidates import take_up_candidate
from infogan_tool.train.posterior.grouping import view_information
from infogan_tool.train.posterior.neighbours import NEIGHBOURS
from infogan_tool.train.stage import Session, Stage

if TYPE_CHECKING:
    from infogan_tool.train.config import TrainConfig

__all__ = ["SelectionStage", "neighbour_information"]

_CHUNK: Final = 1000


class SelectionStage(Stage):
    """Score each round's posterior on the neighbours of all rounds; the best one is Q(k1|x)."""

    name = "selection"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._scores = torch.full((_rounds(session.config),), -torch.inf, device=session.device)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return how many pictures are encoded at a time."""
        return _CHUNK

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the number of candidates."""
        return _rounds(config)

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the score's name."""
        return ["MI/neighbours"]

    @property
    def steps_per_epoch(self) -> int:
        """All candidates are one pass."""
        return _rounds(self.session.config)

    def step(self, index: int) -> None:
        """Score candidate ``index``."""
        session = self.session
        take_up_candidate(session, index)
        branch = session.networks.branches[0].eval()
        with torch.no_grad():
            logits = torch.cat([branch(pictures).logits for pictures in session.in_chunks(_CHUNK)])
        graphs = [session.artifacts[f"{NEIGHBOURS}.{r}"] for r in range(_rounds(session.config))]
        scores = [neighbour_information(logits.argmax(dim=1), graph, logits.shape[1]) for graph in graphs]
        self._scores[index] = torch.stack(scores).mean()
        self.meters.add(self._scores[index].reshape(1))

    def scalars(self) -> dict[str, float]:
        """Return each round's score, those to come left out."""
        known = enumerate(self._scores.tolist())
        return {f"MI/neighbours-{i + 1}": score for i, score in known if math.isfinite(score)}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return none."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the scores so far."""
        return {"scores": self._scores}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self._scores.copy_(tensors["scores"])

    def finish(self) -> None:
        """Put the best candidate into Q, and let the others and all neighbours go."""
        take_up_candidate(self.session, int(self._scores.argmax()))
        self.session.artifacts.clear()


def neighbour_information(categories: Tensor, neighbours: Tensor, num_categories: int) -> Tensor:
    """I(k(x); k(y)) in nats, y a neighbour of x.

    Args:
        categories: ``(N,)``, category of each picture.
        neighbours: ``(N, count)``, the neighbours of each.
        num_categories: Number of categories.
    """
    own = F.one_hot(categories, num_categories).float()
    theirs = torch.zeros_like(own)
    for column in neighbours.long().T:
        theirs += own[column]
    return view_information(own, theirs / neighbours.shape[1])


def _rounds(config: TrainConfig) -> int:
    assert config.posterior is not None
    return config.posterior.rounds
