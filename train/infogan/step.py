"""The updates of one training step, and which parameters each of them moves.

Three different algorithms go by the name InfoGAN in public code. ``objective.information_update`` chooses:

==========  ===========  ======================================================  ===========================
updates     update       loss that is minimised                                  parameters that move
==========  ===========  ======================================================  ===========================
``head``    `d_step`     D's                                                     trunk, D head
            `g_step`     G's + sum of lambda E[-log Q(c|x)]                      G, Q
``trunk``   `d_step`     D's + sum of lambda E[-log Q(c|x)]                      trunk, D head, Q
            `g_step`     G's + sum of lambda E[-log Q(c|x)]                      G
``apart``   `g_step`     G's                                                     G
            `d_step`     D's                                                     trunk, D head
            `i_step`     sum of lambda E[-log Q(c|x)], on fresh latents          G, trunk, Q
==========  ===========  ======================================================  ===========================

``trunk`` is the paper's own code, ``head`` most ports of it, ``apart`` a well-known one. With ``head``, Q
reads the features by which D tells real from generated, and what Q calls a category follows what makes
images look real. docs/explanation/update-schemes.md compares the three by measurement.

Of ``head`` and ``trunk``, both updates see the same fakes, drawn once a step. Without any lambda G hears
nothing of Q; Q still learns to read what G happens to say, so that a plain GAN can be measured alike.

BatchNorm normalises each batch by itself, real and generated apart. The running statistics, which the
exported encoder uses, are those of real images alone: reading real images is what it is for.

In a team of processes (:mod:`infogan_tool.train.distributed.process_group`) images are a process's rows of
the batch, and
latents, losses and scalars are the whole batch's.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.train.engine.optimizer_step import adam, set_rate
from infogan_tool.train.engine.profiling import section
from infogan_tool.train.engine.stage import autocast
from infogan_tool.train.infogan.augment import add_noise, draw_changes
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import (
    code_nll,
    code_weights,
    discriminator_loss,
    entropy_vector,
    generator_loss,
    probability_of_real,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.config.schema import TrainConfig, ViewConfig
    from infogan_tool.train.engine.optimizer_step import Descent
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.networks import Networks

__all__ = ["Updates", "metric_names", "running_statistics_kept"]


def metric_names(spec: LatentSpec) -> list[str]:
    """Return the names of the scalars that :meth:`Updates.step` returns, in order."""
    return [
        "Loss/D/adv",
        "Loss/G/adv",
        "Loss/Q/categorical",
        "Loss/Q/continuous",
        *(f"MI/{name}" for name in spec.code_names),
        "MI/lower_bound",
        "Scores/real",
        "Scores/fake",
        "Scores/fake_before_g",
    ]


class Updates:
    """Networks and optimizers of a run, and the step that moves them.

    Args:
        networks: On their device, in training mode.
        config: Learning rates, weights and augmentation.
        rng: Source of the augmentation's randomness, on the same device.
        descent: How parameters move, and in which group.
    """

    def __init__(
        self, networks: Networks, config: TrainConfig, rng: torch.Generator, descent: Descent
    ) -> None:
        self.networks, self._group = networks, descent.group
        self._rng, self._descent = rng, descent
        self._spec, self._objective = config.latent, config.objective
        self._view, self._q_view = config.augment, config.q_view
        self._q_noise = config.q_noise
        self._conditional = config.num_conditions > 0
        self._kind, self._scheme = config.objective.adversarial_loss, config.objective.information_update
        device = rng.device
        self._first_weights = code_weights(config.latent, config.objective, device)
        self._last_weights = _last_weights(config, device)
        self._weights = self._first_weights.clone()
        self._entropies = entropy_vector(config.latent, device)
        self._num_categorical = len(config.latent.categorical)
        if config.uses_clustering:
            # Q(k1|x) was found on real images: G follows it, not the other way round.
            networks.branches[0].eval().requires_grad_(False)
        self._autocast = autocast(device, config.precision)
        g, q = list(networks.generator.parameters()), _learning(networks.q)
        trunk = list(networks.trunk.parameters())
        self._d_parameters = [*trunk, *networks.d_head.parameters(), *(q if self._scheme == "shared" else [])]
        self._g_parameters = [*g, *(q if self._scheme == "q_head" else [])]
        self._i_parameters = [*g, *trunk, *q] if self._scheme == "separate_step" else []
        rates = config.optimizer
        self.d_optimizer = adam(self._d_parameters, rates.d_lr, rates)
        self.g_optimizer = adam(self._g_parameters, rates.g_lr, rates)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "d_optimizer": self.d_optimizer,
            "g_optimizer": self.g_optimizer,
        }
        self._rates = {"d_optimizer": rates.d_lr, "g_optimizer": rates.g_lr}
        self._decay_from = rates.lr_decay_start
        if self._scheme == "separate_step":
            self.i_optimizer = adam(self._i_parameters, rates.g_lr, rates)
            self.optimizers["i_optimizer"], self._rates["i_optimizer"] = self.i_optimizer, rates.g_lr

    def pace(self, place: float) -> None:
        """Set learning rates and lambdas for the step at ``place``: from 0, where the game begins, to 1."""
        torch.lerp(self._first_weights, self._last_weights, place, out=self._weights)
        if place > self._decay_from:
            left = (1 - place) / (1 - self._decay_from)
            for name, rate in self._rates.items():
                set_rate(self.optimizers[name], rate * left)

    def step(self, real: Tensor, latent: LatentBatch, found: Tensor | None = None) -> Tensor:
        """Do every update of the scheme once.

        Args:
            real: ``(N, C, H, W)`` in the images' range; in a group, its rows of them.
            latent: N latents, in a group too.
            found: Where D is conditional, the categories ``(N,)`` found in ``real``.

        Returns:
            Detached scalars ``(len(metric_names(spec)),)`` on the device, each as before its own update.

        Raises:
            NonFiniteError: A loss or gradient is not finite; the update that would use it was not made.
        """
        with section("G"):
            fake = self._draw(latent)
        if self._scheme == "separate_step":
            with section("G"):
                g_loss, _, fake_score_before_g = self.g_step(fake, latent)
            with section("D"):
                d_loss, real_score, fake_score = self.d_step(real, fake, latent, found)
            with section("L_I"):
                nll = self.i_step(sample_latents(self._spec, len(latent), self._rng))
        else:
            with section("D"):
                d_loss, real_score, fake_score = self.d_step(real, fake, latent, found)
            with section("G"):
                g_loss, nll, fake_score_before_g = self.g_step(fake, latent)
        bounds = self._entropies - nll
        categorical, continuous = nll[: self._num_categorical].sum(), nll[self._num_categorical :].sum()
        losses = torch.stack([d_loss, g_loss, categorical, continuous])
        scores = torch.stack([bounds.sum(), real_score, fake_score, fake_score_before_g])
        return torch.cat([losses, bounds, scores])

    def d_step(
        self, real: Tensor, fake: Tensor, latent: LatentBatch, found: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Update D on real images ``(N, C, H, W)`` of categories ``found``, then on fakes of ``latent``.

        Returns:
            D's loss and its mean probabilities of real for the real and for the generated images.

        Raises:
            NonFiniteError: The loss or a gradient is not finite; nothing was updated.
        """
        networks = self.networks
        count = len(latent)
        real, fake = self._augment(real, count), self._augment(fake.detach(), count)
        with self._autocast:
            features = networks.trunk(real)
            networks.observe(real, features)
            real_logits = networks.d_head(features, found).float()
            with running_statistics_kept(networks.trunk, networks.q):
                features = networks.trunk(fake)
                fake_logits = networks.d_head(features, self._categories(latent)).float()
                posterior = networks.infer(fake, features).float() if self._scheme == "shared" else None
        real_logits, fake_logits = self._group.all_gather(count, real_logits, fake_logits)
        adversarial = discriminator_loss(self._kind, real_logits, fake_logits)
        loss, terms = adversarial, {"Loss/D/adv": adversarial}
        if posterior is not None:
            nll = code_nll(posterior.all_gather(self._group, count), latent)
            loss, terms = adversarial + (self._weights * nll).sum(), terms | self._named(nll)
        self._descent.update(self.d_optimizer, loss, terms, self._d_parameters)
        return adversarial.detach(), self._probability(real_logits), self._probability(fake_logits)

    def g_step(self, fake: Tensor, latent: LatentBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Update G, and Q where it moves with G, on images ``(N, C, H, W)`` that G drew from ``latent``.

        Returns:
            G's adversarial loss, -log Q(c|x) of each code in nats (zeros where L_I has an update of its own),
            and D's mean probability of real for these images (before G's update).

        Raises:
            NonFiniteError: A loss or a gradient is not finite; nothing was updated.
        """
        networks = self.networks
        kept = running_statistics_kept(networks.trunk, networks.q)
        with _standing_still(self._d_parameters), kept:
            seen = self._augment(fake, len(latent))
            read = self._augment(fake, len(latent), self._q_view) if self._q_view else seen
            rows = self._group.shard(len(latent))
            read = add_noise(read, self._q_noise, self._rng, count=len(latent), rows=rows)
            with self._autocast:
                features = networks.trunk(seen)
                fake_logits = networks.d_head(features, self._categories(latent)).float()
                if not self._objective.informs:  # Q looks on: nothing of it reaches G
                    read, features = read.detach(), features.detach()
                posterior = (
                    None if self._scheme == "separate_step" else networks.infer(read, features).float()
                )
            (fake_logits,) = self._group.all_gather(len(latent), fake_logits)
            adversarial = generator_loss(self._kind, fake_logits)
            terms = {"Loss/G/adv": adversarial}
            loss, nll = adversarial, torch.zeros_like(self._weights)
            if posterior is not None:
                weights = self._weights if self._objective.informs else torch.ones_like(self._weights)
                nll = code_nll(posterior.all_gather(self._group, len(latent)), latent)
                terms |= self._named(nll)
                loss = adversarial + (weights * nll).sum()
            self._descent.update(self.g_optimizer, loss, terms, self._g_parameters)
        return adversarial.detach(), nll.detach(), self._probability(fake_logits)

    def i_step(self, latent: LatentBatch) -> Tensor:
        """Update G, trunk and Q by L_I alone, on images of ``latent``.

        Returns:
            -log Q(c|x) of each code in nats.

        Raises:
            NonFiniteError: A loss or a gradient is not finite; nothing was updated.
        """
        fake = self._augment(self._draw(latent), len(latent))
        with running_statistics_kept(self.networks.trunk, self.networks.q), self._autocast:
            posterior = self.networks.infer(fake).float()
        nll = code_nll(posterior.all_gather(self._group, len(latent)), latent)
        loss = (self._weights * nll).sum()
        self._descent.update(self.i_optimizer, loss, self._named(nll), self._i_parameters)
        return nll.detach()

    @torch.no_grad()
    def fake_score(self, latent: LatentBatch) -> Tensor:
        """Return D's mean probability of real for images of ``latent``, leaving every state as it is."""
        state = self._rng.get_state()
        devices = [self._rng.device] if self._rng.device.type == "cuda" else []
        dropout_kept = torch.random.fork_rng(devices)
        with dropout_kept, running_statistics_kept(self.networks):
            fake = self._draw(latent)
            with self._autocast:
                logits = self.networks.discriminate(
                    self._augment(fake, len(latent)), self._categories(latent)
                ).float()
            score = self._probability(*self._group.all_gather(len(latent), logits))
        self._rng.set_state(state)
        return score

    def _draw(self, latent: LatentBatch) -> Tensor:
        mine = latent.rows(self._group.shard(len(latent)))
        with self._autocast:
            fake: Tensor = self.networks.generator(mine.vector()).float()
        return fake

    def _categories(self, latent: LatentBatch) -> Tensor | None:
        """Return what D is told of fakes."""
        if not self._conditional:
            return None
        return latent.rows(self._group.shard(len(latent))).categories[:, 0]

    def _augment(self, images: Tensor, count: int, view: ViewConfig | None = None) -> Tensor:
        changes = draw_changes(count, view or self._view, self._rng)
        return changes.rows(self._group.shard(count)).apply(images)

    def _probability(self, logits: Tensor) -> Tensor:
        return probability_of_real(self._kind, logits.detach())

    def _named(self, nll: Tensor) -> dict[str, Tensor]:
        names = [f"Loss/Q/{name}" for name in self._spec.code_names]
        return dict(zip(names, nll, strict=True))


@contextmanager
def running_statistics_kept(*parts: nn.Module) -> Iterator[None]:
    """Normalise by the batch, as in training, but leave BatchNorm's running statistics as they are."""
    norms = [module for part in parts for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def _standing_still(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    # Their gradients would be thrown away: not computing them saves a quarter of G's update.
    held = list(parameters)
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _last_weights(config: TrainConfig, device: torch.device) -> Tensor:
    end = config.objective.lambda_categorical_end
    changed = {} if end is None else {"lambda_categorical": end}
    return code_weights(config.latent, config.objective.model_copy(update=changed), device)


def _learning(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
