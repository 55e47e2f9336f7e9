"""The variational stage: G as the decoder of a conditional variational autoencoder, without D.

For an image x with category k (a pseudo-label, inferred by the pre-trained category encoder), noise z and
styles c, this bound on log p(x | k) is maximised (arXiv:1312.6114, equation 3)::

    E[log p(x | z, k, c)] - KL(q(z|x) || N(0, 1)) - KL(q(c|x) || N(0, 1/3))

p is Bernoulli for each pixel, q(c|x) is Q's. The KL of any Gaussian to the styles' uniform prior on (-1, 1)
is infinite, so N(0, 1/3) replaces it, which has the same mean and variance. Where a pixel is uncertain, the
optimum is its mean, so images are blurred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from infogan_tool.train.engine.optimizer_step import adam, trainable_parameters
from infogan_tool.train.infogan.generator_stage import GeneratorStage
from infogan_tool.train.infogan.latents import LatentBatch

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session

_STYLE_VARIANCE: Final = 1 / 3
"""Variance of the uniform distribution on (-1, 1)."""
_MIN_PROBABILITY: Final = 1e-6
"""Lower bound of a pixel's probability, which limits its negative log-likelihood to 14 nats."""


def gaussian_kl(mean: Tensor, log_var: Tensor, variance: float) -> Tensor:
    """Return KL(N(mean, exp(log_var)) || N(0, variance)) of each row ``(N, D)``, in nats: ``(N,)``."""
    ratio = torch.exp(log_var) / variance
    return 0.5 * (ratio + mean.square() / variance - 1 - torch.log(ratio)).sum(dim=1)


def bernoulli_nll(probabilities: Tensor, values: Tensor) -> Tensor:
    """Return -log p of each image ``(N, C, H, W)`` of values in [0, 1], in nats: ``(N,)``."""
    bounded = probabilities.clamp(_MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return -(values * bounded.log() + (1 - values) * (1 - bounded).log()).flatten(1).sum(dim=1)


class VariationalStage(GeneratorStage):
    """One update of decoder, noise encoder and Q's style branch on each batch."""

    name = "variational"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        networks, rates = session.networks, session.config.optimizer
        networks.freeze_q_category()
        parts = networks.generator, networks.trunk, networks.noise_head, networks.q
        self._parameters = trainable_parameters(*parts)
        self._adam = adam(self._parameters, rates.g_lr, rates)
        self.optimizers = {"adam": self._adam}

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the bound's terms, in nats per image."""
        return ["Loss/VAE/reconstruction", "Loss/VAE/noise", "Loss/VAE/styles"]

    def step(self, index: int) -> None:
        """Encode images, sample from the posterior, decode, and make one update."""
        networks, spec = self.session.networks, self.session.config.latent
        real = self.session.float_images(self.batch(index)[self.shard])
        with self.autocast():
            features = networks.trunk(real)
            noise = networks.noise_head(features).float()
            codes = networks.infer(real, features).float()
        latent = LatentBatch(
            spec,
            self._sample(noise.mean, noise.log_var),
            codes.logits.argmax(dim=1, keepdim=True),
            self._sample(codes.mean, codes.log_var),
        )
        with self.autocast():
            decoded = networks.generator(latent.vector()).float()
        per_image = {
            "Loss/VAE/reconstruction": bernoulli_nll(self._to_unit(decoded), self._to_unit(real)),
            "Loss/VAE/noise": gaussian_kl(noise.mean, noise.log_var, 1.0),
            "Loss/VAE/styles": gaussian_kl(codes.mean, codes.log_var, _STYLE_VARIANCE),
        }
        whole = self.group.all_gather(self.batch_size, *per_image.values())
        terms = {name: nats.mean() for name, nats in zip(per_image, whole, strict=True)}
        losses = torch.stack(list(terms.values()))
        self.optimizer_step.step(self._adam, losses.sum(), terms, self._parameters)
        networks.update_generator_ema(index)
        self.meters.add(losses.detach())

    def _to_unit(self, images: Tensor) -> Tensor:
        """Return images with values in [0, 1]."""
        image = self.session.networks.image
        return (images - image.low) / (image.high - image.low)

    def _sample(self, mean: Tensor, log_var: Tensor) -> Tensor:
        noise = torch.randn(self.batch_size, mean.shape[1], generator=self.rng, device=mean.device)
        return mean + torch.exp(0.5 * log_var) * noise[self.shard]
