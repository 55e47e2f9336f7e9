"""The variational stage: G as the decoder of a conditional autoencoder, on the same latents, without D.

For an image x with category k (found on real images beforehand, without labels, and given), noise z and
styles c, the bound on log p(x | k) that is maximised is (arXiv:1312.6114, equation 3)::

    E[log p(x | z, k, c)] - KL(q(z|x) || N(0, 1)) - KL(q(c|x) || N(0, 1/3))

p is Bernoulli for each pixel, q(c|x) is Q's. The styles' prior, uniform on (-1, 1), would make their KL
infinite for any Gaussian; N(0, 1/3) has its mean and variance. A pixel that could be one of two values comes
out as their mean: right, and blurred, which is what a GAN is compared with it for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from infogan_tool.train.engine.optimizer_step import adam
from infogan_tool.train.engine.stage import autocast
from infogan_tool.train.infogan.generator_stage import DrawingStage
from infogan_tool.train.infogan.latents import LatentBatch

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Session

__all__ = ["VariationalStage", "bernoulli_nll", "gaussian_kl"]

_STYLE_VARIANCE: Final = 1 / 3
"""Of the uniform prior on (-1, 1)."""
_LEAST: Final = 1e-6
"""Of a pixel's probability: one that is certainly wrong costs 14 nats."""


def gaussian_kl(mean: Tensor, log_var: Tensor, variance: float) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, variance)) of each row ``(N, D)``, in nats: ``(N,)``."""
    ratio = torch.exp(log_var) / variance
    return 0.5 * (ratio + mean.square() / variance - 1 - torch.log(ratio)).sum(dim=1)


def bernoulli_nll(probabilities: Tensor, values: Tensor) -> Tensor:
    """-log p of each image ``(N, C, H, W)`` of values in [0, 1], in nats: ``(N,)``."""
    sure = probabilities.clamp(_LEAST, 1 - _LEAST)
    return -(values * sure.log() + (1 - values) * (1 - sure).log()).flatten(1).sum(dim=1)


class VariationalStage(DrawingStage):
    """One update of decoder, noise encoder and Q's styles on each batch."""

    name = "variational"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        config, networks = session.config, session.networks
        networks.branches[0].eval().requires_grad_(False)
        parts = [networks.generator, networks.trunk, networks.noise_head, *networks.branches[1:]]
        self._parameters = [parameter for part in parts for parameter in part.parameters()]
        self._optimizer = adam(self._parameters, config.optimizer.g_lr, config.optimizer)
        self._autocast = autocast(session.device, config.precision)

    @classmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the bound's terms, in nats an image."""
        del config
        return ["Loss/VAE/reconstruction", "Loss/VAE/noise", "Loss/VAE/styles"]

    def step(self, index: int) -> None:
        """Encode images, draw from the posterior, decode, and move all by the bound."""
        networks, spec = self.session.networks, self.session.config.latent
        real = self.session.float_images(self.batch(index)[self.shard])
        with self._autocast:
            features = networks.trunk(real)
            noise = networks.noise_head(features).float()
            codes = networks.infer(real, features).float()
        latent = LatentBatch(
            spec,
            self._drawn(noise.mean, noise.log_var),
            codes.logits.argmax(dim=1, keepdim=True),
            self._drawn(codes.mean, codes.log_var),
        )
        with self._autocast:
            decoded = networks.generator(latent.vector()).float()
        each = {
            "Loss/VAE/reconstruction": bernoulli_nll(self._unit(decoded), self._unit(real)),
            "Loss/VAE/noise": gaussian_kl(noise.mean, noise.log_var, 1.0),
            "Loss/VAE/styles": gaussian_kl(codes.mean, codes.log_var, _STYLE_VARIANCE),
        }
        whole = self.group.all_gather(self.batch_size, *each.values())
        terms = {name: nats.mean() for name, nats in zip(each, whole, strict=True)}
        losses = torch.stack(list(terms.values()))
        self.descent.update(self._optimizer, losses.sum(), terms, self._parameters)
        networks.average_generator(index)
        self.meters.add(losses.detach())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the one optimizer."""
        return {"optimizer": self._optimizer}

    def _unit(self, images: Tensor) -> Tensor:
        image = self.session.networks.image
        return (images - image.low) / (image.high - image.low)

    def _drawn(self, mean: Tensor, log_var: Tensor) -> Tensor:
        noise = torch.randn(self.batch_size, mean.shape[1], generator=self.rng, device=mean.device)
        return mean + torch.exp(0.5 * log_var) * noise[self.shard]
