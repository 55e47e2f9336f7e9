"""The adversarial stage: min over G and Q, max over D of V(D, G) - lambda L_I(G, Q)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.train.distributed.process_group import mixed_seed
from infogan_tool.train.engine.cuda_graph import CudaGraphStep
from infogan_tool.train.infogan.axes import align_codes
from infogan_tool.train.infogan.generator_stage import GeneratorStage
from infogan_tool.train.infogan.latents import LatentBatch, sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.restarts import Next, Restarts
from infogan_tool.train.infogan.step import AdversarialStep, metric_names
from infogan_tool.train.infogan.terms import due_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session
    from infogan_tool.train.infogan.networks import Networks

_CHUNK: Final = 1000
"""Images per forward pass of the computation of pseudo-labels."""


class AdversarialStage(GeneratorStage):
    """An adversarial step on each batch; see :mod:`infogan_tool.train.infogan.step`."""

    name = "adversarial"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.adversarial_step = AdversarialStep(
            session.networks, session.config, self.rng, self.optimizer_step
        )
        optimizers = self.adversarial_step.optimizers
        self.optimizers = {f"{name.lower()}_optimizer": adam for name, adam in optimizers.items()}
        self._steps = self.count_steps(session.config, len(session.images))
        self._begun, self._alignments = -1, frozenset[int]()
        self._restarts: Restarts | None = None
        if restart := session.config.objective.restart:
            self._restarts = Restarts(restart, self._steps, session.networks, self.group)
            self.extra_state = self._restarts
        self._due: frozenset[str] = frozenset()
        # Of many images and few steps only those that are used get a pseudo-label, each in its step.
        often = self._steps * self.batch_size >= len(session.images)
        self._pseudo_labels: Tensor | None = None
        if session.config.num_conditions and often:
            found = [self._category_of(images) for images in session.image_chunks(_CHUNK)]
            self._pseudo_labels = torch.cat(found)
        self._steps_by_terms: dict[frozenset[str], Callable[[Tensor], Tensor]] = {}
        self._latents: dict[frozenset[str], LatentBatch] = {}

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of :meth:`AdversarialStep.step`'s scalars."""
        return metric_names(config)

    def step(self, index: int) -> None:
        """Sample latents, make every update of the scheme, and update the EMA of G.

        After some steps, evenly spaced, the continuous codes are rotated to independent effects. Where the
        first steps mixed codes, training may be restarted.
        """
        self._follow_start(self._restarts.first_step(index) if self._restarts else 0)
        done, steps = index - self._begun, self._steps - self._begun
        self.adversarial_step.set_schedules(done / steps)
        self._due = due_terms(self.adversarial_step.terms, index)
        if self._due not in self._steps_by_terms:  # a step of other terms is another CUDA graph
            step = partial(self._step, due=self._due)
            self._steps_by_terms[self._due] = (
                CudaGraphStep(step, self.rng) if self.session.cuda_graphs else step
            )
        scalars = self._steps_by_terms[self._due](self.batch(index)[self.shard])
        self.meters.add(scalars)
        self.session.networks.update_generator_ema(done)
        if index + 1 in self._alignments:
            seed, free = mixed_seed(f"axes {self.seed} {index + 1}"), self.session.config.free_codes
            align_codes(self.session.networks, self.optimizers.values(), seed, free, self.group)
        if self._restarts:
            penalty = scalars[self.meters.names.index("Loss/G/hessian")]
            chosen = self._restarts.add(index, penalty, self.session.networks)
            if chosen is Next.RESTART:
                self._load_networks(self._new_networks(int(self._restarts.number)))
                self.begin()
            elif chosen is Next.GO_BACK:
                self._load_networks(self._restarts.best)

    def _follow_start(self, begun: int) -> None:
        if begun != self._begun:
            self._begun, count = begun, self.session.config.axis_alignments
            steps = self._steps - begun
            self._alignments = frozenset(
                begun + steps * number // (count + 1) for number in range(1, count + 1)
            )

    def _new_networks(self, number: int) -> Networks:
        """Return networks with other initial weights, but for k1's encoder from clustering."""
        config, networks = self.session.config, self.session.networks
        other = config.model_copy(update={"seed": mixed_seed(f"restart {self.seed} {number}")})
        fresh = build_networks(other, size=networks.image.size, channels=networks.image.channels)
        if config.uses_clustering:
            fresh.q_category.load_state_dict(networks.q_category.state_dict())
        return fresh

    def _load_networks(self, other: Networks) -> None:
        """Copy weights, and reset the optimizers."""
        networks = self.session.networks
        networks.load_state_dict(other.state_dict())
        for tensor in networks.state_dict().values():
            self.group.broadcast(tensor)
        for optimizer in self.optimizers.values():
            for state in optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def _step(self, index: Tensor, due: frozenset[str]) -> Tensor:
        real = self.session.float_images(index)
        categories = None
        if self.session.config.num_conditions:
            labels = self._pseudo_labels
            categories = self._category_of(real) if labels is None else labels[index]
        # A replayed graph writes the latents of its steps to these tensors.
        self._latents[due] = latent = sample_latents(self.session.config.latent, self.batch_size, self.rng)
        return self.adversarial_step.step(real, latent, categories, due)

    @torch.no_grad()
    def _category_of(self, images: Tensor) -> Tensor:
        """Return the most probable category of images; Q's category encoder is frozen in this stage."""
        category: Tensor = self.session.networks.q_category(images).logits.argmax(dim=1)
        return category

    def scalars(self) -> dict[str, float]:
        """Return the means, and D's score of images of the last latents after G's update."""
        score = self.adversarial_step.fake_score(self._latents[self._due])
        scalars = {**super().scalars(), "Scores/fake_after_g": float(score)}
        if self._restarts:
            scalars["Progress/start"] = int(self._restarts.number) + 1
        return scalars
