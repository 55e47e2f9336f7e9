"""The two updates of one training step, and which parameters each of them moves.

==========  ==========================================================  ======================
update      loss that is minimised                                      parameters that move
==========  ==========================================================  ======================
`d_step`    -E[log D(x)] - E[log(1 - D(G(z, c)))], real then fake       trunk, D head
`g_step`    -E[log D(G(z, c))] + sum of lambda E[-log Q(c|x)]       G, Q head
==========  ==========================================================  ======================

Both see the same fakes, drawn once a step. The trunk stands still in `g_step`: the gradient of both terms
runs through it to G, but only D's loss changes it, so Q reads the features by which D tells real from
generated.

BatchNorm normalises each batch by itself, real and generated apart. The running statistics, which the
exported encoder uses, are those of real pictures alone: reading real pictures is what it is for.

Three different updates go by the name InfoGAN in public code, and they are not the same algorithm:

1. The information term is taken off both D's and G's loss, and Q shares D's variables: L_I trains the trunk
   in both updates (the paper's own code).
2. Q's head sits in G's optimizer and L_I moves G and the head only (most PyTorch ports). **This is what is
   here.** With the trunk left to D, what Q calls a category follows what makes pictures look real. When L_I
   may train the trunk at the full rate, G and Q agree on codes sooner, but on codes that mean less on real
   pictures.
3. A third optimizer over G and all of D minimises the information loss on fresh samples, after the other two.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import NonFiniteError
from infogan_tool.train.augment import random_view
from infogan_tool.train.losses import (
    code_nll,
    code_weights,
    discriminator_loss,
    entropy_vector,
    generator_loss,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infogan_tool.runtime.latent import LatentSpec
    from infogan_tool.train.config import TrainConfig
    from infogan_tool.train.latents import LatentBatch
    from infogan_tool.train.networks import Networks

__all__ = ["Updates", "metric_names", "running_statistics_kept", "stop_if_not_finite"]


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
    """

    def __init__(self, networks: Networks, config: TrainConfig, rng: torch.Generator) -> None:
        self.networks = networks
        self._rng = rng
        self._view = config.augment
        device = rng.device
        self._weights = code_weights(config.latent, config.objective, device)
        self._entropies = entropy_vector(config.latent, device)
        self._num_categorical = len(config.latent.categorical)
        rates = config.optimizer
        self._d_parameters = [*networks.trunk.parameters(), *networks.d_head.parameters()]
        if config.finds_posterior:
            # Q(k1|x) was found on real pictures: G follows it, not the other way round.
            networks.branches[0].eval().requires_grad_(False)
        self._g_parameters = [*networks.generator.parameters(), *_learning(networks.q)]
        betas = (rates.beta1, rates.beta2)
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
        self.d_optimizer = torch.optim.Adam(self._d_parameters, rates.d_lr, betas, fused=True)
        self.g_optimizer = torch.optim.Adam(self._g_parameters, rates.g_lr, betas, fused=True)

    def step(self, real: Tensor, latent: LatentBatch) -> Tensor:
        """Do one D update and one G and Q update.

        Args:
            real: ``(N, C, H, W)`` in the pictures' range.
            latent: N latents.

        Returns:
            Detached scalars ``(len(metric_names(spec)),)`` on the device, each as before its own update.

        Raises:
            NonFiniteError: A loss or gradient is not finite; the update that would use it was not made.
        """
        with self._autocast:
            fake = self.networks.generator(latent.vector()).float()
        d_loss, real_score, fake_score = self.d_step(real, fake.detach())
        g_loss, bounds, nll, fake_score_before_g = self.g_step(fake, latent)
        categorical, continuous = nll[: self._num_categorical].sum(), nll[self._num_categorical :].sum()
        losses = torch.stack([d_loss, g_loss, categorical, continuous])
        scores = torch.stack([bounds.sum(), real_score, fake_score, fake_score_before_g])
        return torch.cat([losses, bounds, scores])

    def d_step(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Update trunk and D head on real, then generated pictures ``(N, C, H, W)``.

        Returns:
            D's loss and its mean probabilities of real for the real and for the generated pictures.

        Raises:
            NonFiniteError: The loss or a gradient is not finite; nothing was updated.
        """
        self.d_optimizer.zero_grad()
        real, fake = self._augment(real), self._augment(fake.detach())
        with self._autocast:
            features = self.networks.trunk(real)
            self.networks.observe(real, features)
            real_logits = self.networks.d_head(features).float()
            with running_statistics_kept(self.networks.trunk):
                fake_logits = self.networks.discriminate(fake).float()
        loss = discriminator_loss(real_logits, fake_logits)
        torch.autograd.backward(loss)
        stop_if_not_finite({"Loss/D/adv": loss}, self._d_parameters)
        self.d_optimizer.step()
        return loss.detach(), _mean_probability(real_logits), _mean_probability(fake_logits)

    def g_step(self, fake: Tensor, latent: LatentBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Update G and Q head on pictures ``(N, C, H, W)`` that G drew from ``latent``.

        Returns:
            G's adversarial loss, L_I of each code in nats, -log Q(c|x) of each code, and D's mean probability
            of real for these pictures (after D's update, before G's).

        Raises:
            NonFiniteError: A loss or a gradient is not finite; nothing was updated.
        """
        self.g_optimizer.zero_grad()
        kept = running_statistics_kept(self.networks.trunk, self.networks.q)
        with _standing_still(self._d_parameters), kept:
            fake = self._augment(fake)
            with self._autocast:
                features = self.networks.trunk(fake)
                fake_logits = self.networks.d_head(features).float()
                posterior = self.networks.recognise(fake, features).float()
            adversarial = generator_loss(fake_logits)
            nll = code_nll(posterior, latent)
            torch.autograd.backward(adversarial + (self._weights * nll).sum())
        names = [f"Loss/Q/{name}" for name in latent.spec.code_names]
        terms = {"Loss/G/adv": adversarial, **dict(zip(names, nll, strict=True))}
        stop_if_not_finite(terms, self._g_parameters)
        self.g_optimizer.step()
        self.networks.average_generator()
        nll = nll.detach()
        return adversarial.detach(), self._entropies - nll, nll, _mean_probability(fake_logits)

    @torch.no_grad()
    def fake_score(self, latent: LatentBatch) -> Tensor:
        """Return D's mean probability of real for pictures of ``latent``, leaving every state as it is."""
        state = self._rng.get_state()
        with running_statistics_kept(self.networks), self._autocast:
            fake = self._augment(self.networks.generator(latent.vector()).float())
            score = _mean_probability(self.networks.discriminate(fake).float())
        self._rng.set_state(state)
        return score

    def _augment(self, images: Tensor) -> Tensor:
        return random_view(images, self._view, self._rng)


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


def _learning(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _mean_probability(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.detach()).mean()


def stop_if_not_finite(terms: dict[str, Tensor], parameters: list[nn.Parameter]) -> None:
    """Raise before an update that would spread NaN or infinity through the weights.

    Raises:
        NonFiniteError: Names the terms, or says that only the gradient is not finite.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    terms = {name: term.detach() for name, term in terms.items()}
    if torch.isfinite(norm + torch.stack(list(terms.values())).sum()):
        return
    bad = [f"{name} = {float(term):g}" for name, term in terms.items() if not torch.isfinite(term)]
    what = ", ".join(bad) or f"the gradient of {' + '.join(terms)} (norm {float(norm):g})"
    raise NonFiniteError(f"not finite: {what}")
