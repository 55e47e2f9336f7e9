"""The training step as course slides and most notebooks write it, for benchmarks/train.py to compare with.

A DataLoader whose transform makes a tensor of one image at a time, everything in float32 and eager, D's
gradients computed in G's update too, and each loss read with ``.item()`` in each step. The networks, the
batch and the data are those of our own training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from infogan_tool.train.infogan.latents import sample_latents

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.networks import Networks

__all__ = ["ReferenceTraining"]


class _Images(Dataset["Tensor"]):
    """Images ``(N, H, W)`` uint8, each changed on its own when it is asked for."""

    def __init__(self, images: np.ndarray) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        tensor: Tensor = to_tensor(Image.fromarray(self._images[index]))
        return tensor


class ReferenceTraining:
    """D on real and on generated images, then G and Q.

    Args:
        config: Of preset `paper` or like it: sigmoid images, one categorical code, Q on D's trunk.
        networks: On ``device``.
        images: ``(N, H, W)`` uint8.
        device: Where it computes.
        workers: Processes that load images; 0: the training's own.
    """

    def __init__(
        self,
        config: TrainConfig,
        networks: Networks,
        images: np.ndarray,
        device: torch.device,
        workers: int,
    ) -> None:
        self._config, self._networks, self._device = config, networks, device
        self._rng = torch.Generator(device).manual_seed(config.seed)
        rates = config.optimizer
        betas = (rates.beta1, rates.beta2)
        d = [*networks.trunk.parameters(), *networks.d_head.parameters()]
        g = [*networks.generator.parameters(), *networks.q.parameters()]
        self._d_optimizer = torch.optim.Adam(d, rates.d_lr, betas)
        self._g_optimizer = torch.optim.Adam(g, rates.g_lr, betas)
        self._loader = DataLoader(
            _Images(images), config.schedule.batch_size, shuffle=True, drop_last=True, num_workers=workers
        )
        self._batches = iter(self._loader)

    def step(self) -> dict[str, float]:
        """Do one step and return its losses."""
        real = self._next().to(self._device)
        networks, config = self._networks, self._config
        ones, zeros = torch.ones(len(real), device=self._device), torch.zeros(len(real), device=self._device)
        latent = sample_latents(config.latent, len(real), self._rng)

        self._d_optimizer.zero_grad()
        on_real = F.binary_cross_entropy_with_logits(networks.discriminate(real), ones)
        on_real.backward()
        fake = networks.generator(latent.vector())
        on_fake = F.binary_cross_entropy_with_logits(networks.discriminate(fake.detach()), zeros)
        on_fake.backward()
        self._d_optimizer.step()

        self._g_optimizer.zero_grad()
        features = networks.trunk(fake)
        validity = F.binary_cross_entropy_with_logits(networks.d_head(features), ones)
        information = self._information(latent, networks, features, fake)
        (validity + information).backward()
        self._g_optimizer.step()
        return {
            "D": on_real.item() + on_fake.item(),
            "G": validity.item(),
            "L_I": information.item(),
        }

    def _information(self, latent: LatentBatch, networks: Networks, features: Tensor, fake: Tensor) -> Tensor:
        posterior, weights = networks.infer(fake, features), self._config.objective
        category = F.cross_entropy(posterior.logits, latent.categories[:, 0])
        styles = F.gaussian_nll_loss(posterior.mean, latent.styles, posterior.log_var.exp())
        return weights.lambda_categorical * category + weights.lambda_continuous * styles

    def _next(self) -> Tensor:
        try:
            return next(self._batches)
        except StopIteration:
            self._batches = iter(self._loader)
            return next(self._batches)
