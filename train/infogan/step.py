"""One adversarial training step: the updates of a scheme (:mod:`infogan_tool.train.infogan.schemes`).

The D and G updates of a step use the same fakes. If every lambda is 0, Q is only monitored: no gradient of
its loss reaches G or the trunk, and Q learns to infer whatever G generates, so that a plain GAN can be
measured in the same way.

L_D and L_G include the terms of ``objective.terms`` and ``objective.hessian_penalty``
(:mod:`infogan_tool.train.infogan.terms`).

BatchNorm normalises real and generated batches separately. Its running statistics, which the exported
encoder uses, are updated by real images only, because those are what the encoder is applied to.

With several processes (:mod:`infogan_tool.train.distributed.process_group`) images are one process's shard
of the batch; latents, losses and scalars are those of the whole batch.
"""

from __future__ import annotations

import operator
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.train.engine.optimizer_step import adam, set_learning_rate, trainable_parameters
from infogan_tool.train.engine.profiling import section
from infogan_tool.train.engine.stage import autocast
from infogan_tool.train.engine.statistics import frozen_statistics
from infogan_tool.train.infogan.augment import add_noise, gaussian_blur, sample_augmentation
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.objective import (
    code_entropies,
    code_nll,
    code_weights,
    discriminator_loss,
    generator_loss,
    information_loss,
    mutual_information_bound,
    probability_of_real,
)
from infogan_tool.train.infogan.schemes import SCHEMES, updates_of
from infogan_tool.train.infogan.terms import Batch, TermInputs, active_terms
from infogan_tool.train.infogan.transformations import BEGINNING, share_by, shown_angle, shown_angle_of_real

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.config.tables import ViewConfig
    from infogan_tool.train.engine.optimizer_step import Adam, OptimizerStep
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.networks import Networks
    from infogan_tool.train.infogan.q_network import QPosterior
    from infogan_tool.train.infogan.schemes import Update

    _Terms = tuple[dict[str, Tensor], dict[str, Tensor], tuple[Tensor, Tensor] | None]


def metric_names(config: TrainConfig) -> list[str]:
    """Return the names of the scalars that :meth:`AdversarialStep.step` returns, in order."""
    return [
        "Loss/D/adv",
        "Loss/G/adv",
        *(term.metric for term in active_terms(config)),
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
        free = [len(self._spec.categorical) + code for code in config.free_codes]
        self._is_free = torch.isin(torch.arange(len(self._weights)), torch.tensor(free)).to(rng.device)
        self._progress = torch.zeros((), device=rng.device)
        self.terms = active_terms(config)
        if config.uses_clustering:
            networks.freeze_q_category()
        self._parts = {
            name: trainable_parameters(getattr(networks, name))
            for name in ("generator", "trunk", "d_head", "q")
        }
        self.scheme = SCHEMES.get(config.objective.information_update)
        self._updates = updates_of(self.terms, self.scheme)
        self._rates = {update.name: getattr(config.optimizer, update.learning_rate) for update in self.scheme}
        self.optimizers: dict[str, Adam] = {
            update.name: adam(self._parameters(update.parameters), self._rates[update.name], config.optimizer)
            for update in self.scheme
        }

    def set_schedules(self, progress: float) -> None:
        """Set learning rates, lambdas and what else depends on ``progress``, from 0 to 1."""
        self._progress.fill_(progress)
        start = self._objective.lambda_ramp_start
        ramp = max(progress - start, 0.0) / (1 - start)
        torch.lerp(self._first_weights, self._last_weights, ramp, out=self._weights)
        if progress < self._objective.free_codes_start:
            self._weights.masked_fill_(self._is_free, 0)
        start = self._config.optimizer.lr_decay_start
        if progress > start:
            remaining = (1 - progress) / (1 - start)
            for name, rate in self._rates.items():
                set_learning_rate(self.optimizers[name], rate * remaining)

    def step(
        self,
        real: Tensor,
        latent: LatentBatch,
        real_categories: Tensor | None = None,
        due: Collection[str] | None = None,
    ) -> Tensor:
        """Make every update of the scheme once.

        Args:
            real: As in :class:`Batch`, in the images' range.
            latent: As in :class:`Batch`.
            real_categories: As in :class:`Batch`.
            due: Names of the further terms that are computed in this step; None: all.

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
                scalars |= self.update(update, batch, due)
        nll = torch.stack([scalars[f"Loss/Q/{name}"] for name in self._spec.code_names])
        num_categorical = len(self._spec.categorical)
        bounds = mutual_information_bound(nll, self._entropies)
        categorical, continuous = nll[:num_categorical].sum(), nll[num_categorical:].sum()
        zero = torch.zeros_like(categorical)
        further = [scalars.get(term.metric, zero) for term in self.terms]
        losses = torch.stack(
            [scalars["Loss/D/adv"], scalars["Loss/G/adv"], *further, categorical, continuous]
        )
        scores = [scalars[name] for name in ("Scores/real", "Scores/fake", "Scores/fake_before_g")]
        return torch.cat([losses, bounds, torch.stack([bounds.sum(), *scores])])

    def update(self, update: Update, batch: Batch, due: Collection[str] | None = None) -> dict[str, Tensor]:
        """Minimise the update's terms over its parameters, by one step of its optimizer.

        Args:
            update: One of the scheme's.
            batch: Images and latents of the step.
            due: As in :meth:`step`.

        Returns:
            Detached scalars, as before the update, by name: losses and scores.

        Raises:
            NonFiniteError: A loss or a gradient is not finite; nothing was updated.
        """
        compute = {"D": self._d_terms, "G": self._g_terms, "L_I": self._information_terms}[update.name]
        others = [part for part in self._parts if part not in update.parameters]
        with _frozen(self._parameters(others)):  # their gradients would take a quarter of G's update
            if update.name == "D":
                batch = self._as_d_sees(batch)
            elif update.name == "L_I":  # its own fakes have G's gradient
                batch = replace(batch, fake=batch.fake.detach())
            terms, scalars, features = compute(batch, infer="L_I" in update.terms)
            for term in self.terms:
                if self._updates[term.name] == update.name and (due is None or term.name in due):
                    value = term.compute(self._term_inputs(batch, features))
                    scalars[term.metric] = value
                    terms[update.terms[0]] = terms[update.terms[0]] + term.weight_at(self._progress) * value
            loss = reduce(operator.add, [terms[name] for name in update.terms])
            losses = {name: scalar for name, scalar in scalars.items() if name.startswith("Loss/")}
            parameters = self._parameters(update.parameters)
            self._optimizer_step.step(self.optimizers[update.name], loss, losses, parameters)
        return {name: scalar.detach() for name, scalar in scalars.items()}

    def _as_d_sees(self, batch: Batch) -> Batch:
        """Return a batch with augmented images, without G's gradient."""
        count = len(batch.latent)
        return replace(
            batch, real=self._augment(batch.real, count), fake=self._augment(batch.fake.detach(), count)
        )

    def _term_inputs(self, batch: Batch, features: tuple[Tensor, Tensor] | None) -> TermInputs:
        return TermInputs(
            batch.real,
            batch.fake,
            batch.latent[self._group.shard(len(batch.latent))],
            batch.real_categories,
            networks=self.networks,
            config=self._config,
            rng=self._rng,
            group=self._group,
            progress=self._progress,
            features=features,
        )

    def _d_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_D of images as D sees them, with L_I if ``infer``, scalars by name, and features."""
        networks, count, real, fake = self.networks, len(batch.latent), batch.real, batch.fake
        with self._autocast:
            of_real = networks.trunk(real)
            networks.update_bn_stats(real, of_real)
            angle = shown_angle_of_real(networks, self._config, real, of_real, self._progress)
            real_logits = networks.d_head(of_real, batch.real_categories, angle).float()
            with frozen_statistics(networks.trunk, networks.d_head, networks.q):
                of_fake = networks.trunk(fake)
                fake_logits = networks.d_head(of_fake, *self._fake_conditions(batch.latent)).float()
                posterior = self._infer(fake, of_fake) if infer else None
        real_logits, fake_logits = self._group.all_gather(count, real_logits, fake_logits)
        adversarial = discriminator_loss(self._kind, real_logits, fake_logits)
        scores = {"Scores/real": self._score(real_logits), "Scores/fake": self._score(fake_logits)}
        terms, scalars = {"L_D": adversarial}, {"Loss/D/adv": adversarial, **scores}
        if posterior is not None:
            terms["L_I"], losses = self._information_loss(posterior, batch.latent)
            scalars |= losses
        return terms, scalars, (of_real, of_fake)

    def _g_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_G of generated images, with L_I if ``infer``, and scalars by name."""
        networks, count = self.networks, len(batch.latent)
        with frozen_statistics(networks.trunk, networks.d_head, networks.q):
            d_images = self._augment(batch.fake, count)
            q_images = self._as_q_sees(batch.fake, count, d_images) if infer else d_images
            with self._autocast:
                features = networks.trunk(d_images)
                fake_logits = networks.d_head(features, *self._fake_conditions(batch.latent)).float()
                posterior = self._infer(q_images, features) if infer else None
        (fake_logits,) = self._group.all_gather(count, fake_logits)
        adversarial = generator_loss(self._kind, fake_logits)
        terms = {"L_G": adversarial}
        scalars = {"Loss/G/adv": adversarial, "Scores/fake_before_g": self._score(fake_logits)}
        if posterior is not None:
            terms["L_I"], losses = self._information_loss(posterior, batch.latent)
            scalars |= losses
        return terms, scalars, None

    def _information_terms(self, batch: Batch, *, infer: bool) -> _Terms:
        """Return L_I of generated images of fresh latents, and scalars by name."""
        assert infer
        latent = sample_latents(self._spec, len(batch.latent), self._rng)
        fake = self._generate(latent)
        d_images = self._augment(fake, len(latent))
        q_images = self._as_q_sees(fake, len(latent), d_images)
        with frozen_statistics(self.networks.trunk, self.networks.q), self._autocast:
            posterior = self._infer(q_images, self.networks.trunk(d_images))
        loss, scalars = self._information_loss(posterior, latent)
        return {"L_I": loss}, scalars, None

    def _infer(self, images: Tensor, features: Tensor) -> QPosterior:
        """Return Q(c|x) of images and their features; if every lambda is 0, its gradient reaches Q alone."""
        if not self._config.uses_information:
            images, features = images.detach(), features.detach()
        return self.networks.infer(images, features)

    def _information_loss(
        self, posterior: QPosterior, latent: LatentBatch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return -lambda L_I without its constant, and -log Q(c|x) of each code by name.

        If every lambda is 0, Q is trained with lambda 1.
        """
        weights = self._weights if self._config.uses_information else torch.ones_like(self._weights)
        nll = code_nll(posterior.float().all_gather(self._group, len(latent)), latent)
        names = [f"Loss/Q/{name}" for name in self._spec.code_names]
        return information_loss(nll, weights), dict(zip(names, nll, strict=True))

    @torch.no_grad()
    def fake_score(self, latent: LatentBatch) -> Tensor:
        """Return D's mean probability of real for images of ``latent``; no state changes."""
        state = self._rng.get_state()
        devices = [self._rng.device] if self._rng.device.type == "cuda" else []
        with torch.random.fork_rng(devices), frozen_statistics(self.networks):
            fake = self._augment(self._generate(latent), len(latent))
            with self._autocast:
                logits = self.networks.discriminate(fake, *self._fake_conditions(latent)).float()
            score = self._score(*self._group.all_gather(len(latent), logits))
        self._rng.set_state(state)
        return score

    def _generate(self, latent: LatentBatch) -> Tensor:
        with self._autocast:
            fake: Tensor = self.networks.generator(latent[self._group.shard(len(latent))].vector()).float()
        return fake

    def _fake_conditions(self, latent: LatentBatch) -> tuple[Tensor | None, Tensor | None]:
        """Return what a conditional D is told of generated images: category and angle."""
        if not self._config.num_conditions:
            return None, None
        latent = latent[self._group.shard(len(latent))]
        column = self._config.condition_column
        angle = None if column is None else shown_angle(latent.styles[:, column], self._progress)
        return latent.categories[:, 0], angle

    def _augment(self, images: Tensor, count: int, view: ViewConfig | None = None) -> Tensor:
        """Return images in a view; None: as D sees them, blurred at the beginning."""
        augmentation = sample_augmentation(count, view or self._config.augment, self._rng)
        images = augmentation.select(self._group.shard(count)).apply(images)
        if view is None and self._config.initial_blur:
            share = 1 - share_by(self._progress, BEGINNING)
            images = gaussian_blur(images, (self._config.initial_blur * share)[None])
        return images

    def _as_q_sees(self, fake: Tensor, count: int, d_images: Tensor) -> Tensor:
        """Return generated images in the view of Q's own encoders, without one as D sees them, with noise."""
        config = self._config
        images = self._augment(fake, count, config.q_view) if config.q_view else d_images
        return add_noise(images, config.q_noise, self._rng, count=count, shard=self._group.shard(count))

    def _score(self, logits: Tensor) -> Tensor:
        return probability_of_real(self._kind, logits.detach())

    def _parameters(self, parts: Iterable[str]) -> list[nn.Parameter]:
        return [parameter for part in parts for parameter in self._parts[part]]


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
    objective = config.objective
    ends = {
        "lambda_categorical": objective.lambda_categorical_end,
        "lambda_continuous": objective.lambda_continuous_end,
    }
    changed = {key: end for key, end in ends.items() if end is not None}
    return code_weights(config.latent, objective.model_copy(update=changed), device)
