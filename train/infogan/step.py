"""One adversarial training step: which loss each update minimises, and which parameters it moves.

Three different algorithms go by the name InfoGAN in public code. ``objective.information_update`` chooses one
of :data:`SCHEMES`:

=================  ======  =============================================  ===========================
scheme             update  loss that is minimised                         parameters that move
=================  ======  =============================================  ===========================
``q_head``         D       L_D                                            trunk, D head
                   G       L_G + sum of lambda E[-log Q(c|x)]             G, Q
``shared``         D       L_D + sum of lambda E[-log Q(c|x)]             trunk, D head, Q
                   G       L_G + sum of lambda E[-log Q(c|x)]             G
``separate_step``  G       L_G                                            G
                   D       L_D                                            trunk, D head
                   L_I     sum of lambda E[-log Q(c|x)], fresh latents    G, trunk, Q
=================  ======  =============================================  ===========================

``shared`` is what the paper's published code does, ``q_head`` most ports of it, ``separate_step`` a
well-known one. docs/explanation/update-schemes.md compares them by measurement.

The D and G updates of a step use the same fakes. If every lambda is 0, Q is only monitored: no gradient of
its loss reaches G, and Q learns to infer whatever G generates, so that a plain GAN can be
measured in the same way.

With ``objective.hessian_penalty``, L_G includes a penalty of G's second derivatives, on latents of its own.

BatchNorm normalises real and generated batches separately. Its running statistics, which the exported
encoder uses, are updated by real images only, because those are what the encoder is applied to.

With several processes (:mod:`infogan_tool.train.distributed.process_group`) images are one process's shard
of the batch; latents, losses and scalars are those of the whole batch.
"""

from __future__ import annotations

import operator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.train.engine.optimizer_step import adam, set_learning_rate, trainable_parameters
from infogan_tool.train.engine.profiling import section
from infogan_tool.train.engine.stage import autocast
from infogan_tool.train.infogan.augment import add_noise, sample_augmentation
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import (
    HESSIAN_STEP,
    code_entropies,
    code_nll,
    code_weights,
    discriminator_loss,
    effects_of_codes,
    generator_loss,
    hessian_penalty,
    information_loss,
    mutual_information_bound,
    probability_of_real,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infogan_tool.train.config.schema import TrainConfig, ViewConfig
    from infogan_tool.train.engine.optimizer_step import OptimizerStep
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.networks import Networks
    from infogan_tool.train.infogan.q_network import QPosterior

    _Terms = tuple[dict[str, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Update:
    """One optimizer step."""

    name: Literal["D", "G", "L_I"]
    """Name in profiles, and of its optimizer."""
    terms: tuple[Literal["L_D", "L_G", "L_I"], ...]
    """Losses whose sum is minimised; L_I stands for the sum of lambda E[-log Q(c|x)]."""
    parameters: tuple[Literal["generator", "trunk", "d_head", "q"], ...]
    """Networks whose parameters move."""
    learning_rate: Literal["d_lr", "g_lr"]
    """Key of the config's ``optimizer`` table."""


SCHEMES: Final[Mapping[str, tuple[Update, ...]]] = {
    "q_head": (
        Update("D", ("L_D",), ("trunk", "d_head"), "d_lr"),
        Update("G", ("L_G", "L_I"), ("generator", "q"), "g_lr"),
    ),
    "shared": (
        Update("D", ("L_D", "L_I"), ("trunk", "d_head", "q"), "d_lr"),
        Update("G", ("L_G", "L_I"), ("generator",), "g_lr"),
    ),
    "separate_step": (
        Update("G", ("L_G",), ("generator",), "g_lr"),
        Update("D", ("L_D",), ("trunk", "d_head"), "d_lr"),
        Update("L_I", ("L_I",), ("generator", "trunk", "q"), "g_lr"),
    ),
}
"""The updates of a step, in order, by value of ``objective.information_update``."""


_HESSIAN: Final = "Loss/G/hessian"


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of the updates of one step."""

    real: Tensor
    """Real images ``(N, C, H, W)``; with several processes this one's shard, as ``fake`` is."""
    fake: Tensor
    """G's images of ``latent``, with their gradient."""
    latent: LatentBatch
    """N latents."""
    real_categories: Tensor | None = None
    """Pseudo-labels ``(N,)`` of ``real``, where D is conditional."""


def metric_names(config: TrainConfig) -> list[str]:
    """Return the names of the scalars that :meth:`AdversarialStep.step` returns, in order."""
    return [
        "Loss/D/adv",
        "Loss/G/adv",
        *([_HESSIAN] if config.penalises_hessian else []),
        "Loss/Q/categorical",
        "Loss/Q/continuous",
        *(f"MI/{name}" for name in config.latent.code_names),
        "MI/lower_bound",
        "Scores/real",
        "Scores/fake",
        "Scores/fake_before_g",
    ]


class AdversarialStep:
    """The training step of an InfoGAN, with its optimizers.

    Args:
        networks: On their device, in training mode.
        config: Scheme, learning rates, weights and augmentation.
        rng: Source of the randomness of augmentation and noise, on the same device.
        optimizer_step: Computes gradients and moves parameters.
    """

    def __init__(
        self, networks: Networks, config: TrainConfig, rng: torch.Generator, optimizer_step: OptimizerStep
    ) -> None:
        self.networks, self._group = networks, optimizer_step.group
        self._rng, self._optimizer_step = rng, optimizer_step
        self._config, self._spec, self._objective = config, config.latent, config.objective
        self._kind = config.objective.adversarial_loss
        self._autocast = autocast(rng.device, config.precision)
        self._entropies = code_entropies(config.latent, rng.device)
        self._first_weights = code_weights(config.latent, config.objective, rng.device)
        self._last_weights = _last_weights(config, rng.device)
        self._weights = self._first_weights.clone()
        self._pairs = torch.combinations(torch.arange(config.latent.continuous, device=rng.device))
        if config.uses_clustering:
            networks.freeze_q_category()
        self._parts = {
            name: trainable_parameters(getattr(networks, name))
            for name in ("generator", "trunk", "d_head", "q")
        }
        self.scheme = SCHEMES[config.objective.information_update]
        self._rates = {update.name: getattr(config.optimizer, update.learning_rate) for update in self.scheme}
        self.optimizers: dict[str, torch.optim.Adam] = {
            update.name: adam(self._parameters(update.parameters), self._rates[update.name], config.optimizer)
            for update in self.scheme
        }

    def set_schedules(self, progress: float) -> None:
        """Set learning rates and lambdas for the step at ``progress``: from 0, the first, to 1."""
        torch.lerp(self._first_weights, self._last_weights, progress, out=self._weights)
        start = self._config.optimizer.lr_decay_start
        if progress > start:
            remaining = (1 - progress) / (1 - start)
            for name, rate in self._rates.items():
                set_learning_rate(self.optimizers[name], rate * remaining)

    def step(self, real: Tensor, latent: LatentBatch, real_categories: Tensor | None = None) -> Tensor:
        """Make every update of the scheme once.

        Args:
            real: As in :class:`Batch`, in the images' range.
            latent: As in :class:`Batch`.
            real_categories: As in :class:`Batch`.

        Returns:
            Detached scalars ``(len(metric_names(config)),)`` on the device, each as before its own update.

        Raises:
            NonFiniteError: A loss or gradient is not finite; the update that would use it was not made.
        """
        with section("G"):
            fake = self._generate(latent)
        batch = Batch(real, fake, latent, real_categories)
        scalars: dict[str, Tensor] = {}
        for update in self.scheme:
            with section(update.name):
                scalars |= self.update(update, batch)
        nll = torch.stack([scalars[f"Loss/Q/{name}"] for name in self._spec.code_names])
        num_categorical = len(self._spec.categorical)
        bounds = mutual_information_bound(nll, self._entropies)
        categorical, continuous = nll[:num_categorical].sum(), nll[num_categorical:].sum()
        hessian = [scalars[_HESSIAN]] if _HESSIAN in scalars else []
        losses = torch.stack(
            [scalars["Loss/D/adv"], scalars["Loss/G/adv"], *hessian, categorical, continuous]
        )
        scores = [scalars[name] for name in ("Scores/real", "Scores/fake", "Scores/fake_before_g")]
        return torch.cat([losses, bounds, torch.stack([bounds.sum(), *scores])])

    def update(self, update: Update, batch: Batch) -> dict[str, Tensor]:
        """Minimise the update's terms over its parameters, by one step of its optimizer.

        Returns:
            Detached scalars, as before the update, by name: losses and scores.

        Raises:
            NonFiniteError: A loss or a gradient is not finite; nothing was updated.
        """
        compute = {"D": self._d_terms, "G": self._g_terms, "L_I": self._information_terms}[update.name]
        others = [part for part in self._parts if part not in update.parameters]
        with _frozen(self._parameters(others)):  # their gradients would take a quarter of G's update
            terms, scalars = compute(batch, infer="L_I" in update.terms)
            loss = reduce(operator.add, [terms[name] for name in update.terms])
            losses = {name: scalar for name, scalar in scalars.items() if name.startswith("Loss/")}
            parameters = self._parameters(update.parameters)
            self._optimizer_step.step(self.optimizers[update.name], loss, losses, parameters)
        return {name: scalar.detach() for name, scalar in scalars.items()}

    def _d_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_D of real and generated images, with L_I if ``infer``, and scalars by name."""
        networks, count = self.networks, len(batch.latent)
        real, fake = self._augment(batch.real, count), self._augment(batch.fake.detach(), count)
        with self._autocast:
            features = networks.trunk(real)
            networks.update_bn_stats(real, features)
            real_logits = networks.d_head(features, batch.real_categories).float()
            with frozen_bn_stats(networks.trunk, networks.q):
                features = networks.trunk(fake)
                fake_logits = networks.d_head(features, self._fake_categories(batch.latent)).float()
                posterior = networks.infer(fake, features) if infer else None
        real_logits, fake_logits = self._group.all_gather(count, real_logits, fake_logits)
        adversarial = discriminator_loss(self._kind, real_logits, fake_logits)
        scores = {"Scores/real": self._score(real_logits), "Scores/fake": self._score(fake_logits)}
        terms, scalars = {"L_D": adversarial}, {"Loss/D/adv": adversarial, **scores}
        if posterior is not None:
            terms["L_I"], losses = self._information_loss(posterior, batch.latent, self._weights)
            scalars |= losses
        return terms, scalars

    def _g_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_G of generated images, with L_I if ``infer``, and scalars by name."""
        networks, config, count = self.networks, self._config, len(batch.latent)
        with frozen_bn_stats(networks.trunk, networks.q):
            d_images = self._augment(batch.fake, count)
            q_images = self._augment(batch.fake, count, config.q_view) if config.q_view else d_images
            shard = self._group.shard(count)
            q_images = add_noise(q_images, config.q_noise, self._rng, count=count, shard=shard)
            with self._autocast:
                features = networks.trunk(d_images)
                fake_logits = networks.d_head(features, self._fake_categories(batch.latent)).float()
                if not self._objective.uses_information:
                    q_images, features = q_images.detach(), features.detach()
                posterior = networks.infer(q_images, features) if infer else None
        (fake_logits,) = self._group.all_gather(count, fake_logits)
        adversarial = generator_loss(self._kind, fake_logits)
        terms = {"L_G": adversarial}
        scalars = {"Loss/G/adv": adversarial, "Scores/fake_before_g": self._score(fake_logits)}
        if config.penalises_hessian:
            scalars[_HESSIAN] = self._hessian_penalty()
            terms["L_G"] = adversarial + self._objective.hessian_penalty * scalars[_HESSIAN]
        if posterior is not None:
            weights = self._weights if self._objective.uses_information else torch.ones_like(self._weights)
            terms["L_I"], losses = self._information_loss(posterior, batch.latent, weights)
            scalars |= losses
        return terms, scalars

    def _hessian_penalty(self) -> Tensor:
        """Return the penalty of one pair of continuous codes, chosen at random, on fresh latents."""
        count = self._objective.hessian_latents
        codes = self._spec.continuous
        latent = sample_latents(self._spec, count, self._rng)[self._group.shard(count)]
        pair = torch.randint(len(self._pairs), (1,), generator=self._rng, device=self._rng.device)
        first, second = HESSIAN_STEP * F.one_hot(self._pairs[pair[0]], codes).to(latent.styles.dtype)
        both = first + second
        styles = latent.styles * (1 - both / 2) - both / 2  # all four corners lie in the prior's range
        corners = [replace(latent, styles=styles + move) for move in (0 * both, first, second, both)]
        with frozen_bn_stats(self.networks.generator):
            vectors = torch.cat([corner.vector() for corner in corners])
            effects = effects_of_codes(self._images(vectors))
        (effects,) = self._group.all_gather(count, effects)
        return hessian_penalty(effects)

    def _information_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_I of generated images of fresh latents, and scalars by name."""
        assert infer
        latent = sample_latents(self._spec, len(batch.latent), self._rng)
        fake = self._augment(self._generate(latent), len(latent))
        with frozen_bn_stats(self.networks.trunk, self.networks.q), self._autocast:
            posterior = self.networks.infer(fake)
        loss, scalars = self._information_loss(posterior, latent, self._weights)
        return {"L_I": loss}, scalars

    def _information_loss(
        self, posterior: QPosterior, latent: LatentBatch, weights: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return -lambda L_I without its constant, and -log Q(c|x) of each code by name."""
        nll = code_nll(posterior.float().all_gather(self._group, len(latent)), latent)
        names = [f"Loss/Q/{name}" for name in self._spec.code_names]
        return information_loss(nll, weights), dict(zip(names, nll, strict=True))

    @torch.no_grad()
    def fake_score(self, latent: LatentBatch) -> Tensor:
        """Return D's mean probability of real for images of ``latent``; no state changes."""
        state = self._rng.get_state()
        devices = [self._rng.device] if self._rng.device.type == "cuda" else []
        with torch.random.fork_rng(devices), frozen_bn_stats(self.networks):
            fake = self._augment(self._generate(latent), len(latent))
            with self._autocast:
                logits = self.networks.discriminate(fake, self._fake_categories(latent)).float()
            score = self._score(*self._group.all_gather(len(latent), logits))
        self._rng.set_state(state)
        return score

    def _generate(self, latent: LatentBatch) -> Tensor:
        return self._images(latent[self._group.shard(len(latent))].vector())

    def _images(self, vectors: Tensor) -> Tensor:
        with self._autocast:
            images: Tensor = self.networks.generator(vectors).float()
        return images

    def _fake_categories(self, latent: LatentBatch) -> Tensor | None:
        """Return the categories of generated images, where D is conditional."""
        if not self._config.num_conditions:
            return None
        return latent[self._group.shard(len(latent))].categories[:, 0]

    def _augment(self, images: Tensor, count: int, view: ViewConfig | None = None) -> Tensor:
        augmentation = sample_augmentation(count, view or self._config.augment, self._rng)
        return augmentation.select(self._group.shard(count)).apply(images)

    def _score(self, logits: Tensor) -> Tensor:
        return probability_of_real(self._kind, logits.detach())

    def _parameters(self, parts: Iterable[str]) -> list[nn.Parameter]:
        return [parameter for part in parts for parameter in self._parts[part]]


@contextmanager
def frozen_bn_stats(*modules: nn.Module) -> Iterator[None]:
    """Normalise by the batch, as in training, without updating BatchNorm's running statistics."""
    norms = [norm for module in modules for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def _frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _last_weights(config: TrainConfig, device: torch.device) -> Tensor:
    end = config.objective.lambda_categorical_end
    changed = {} if end is None else {"lambda_categorical": end}
    return code_weights(config.latent, config.objective.model_copy(update=changed), device)
