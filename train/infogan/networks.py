"""The networks of a run: generator G, D's trunk and head, and Q on the trunk or apart.

Shapes: N images, C channels, H = W = size, latent width L, features of F channels on an M x M map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.train.engine.ema import average_into, averaged_copy
from infogan_tool.train.infogan.architectures import (
    encoder_layers,
    generator_layers,
    head_layers,
    trunk_body,
)
from infogan_tool.train.infogan.layers import MapToVector
from infogan_tool.train.infogan.q_network import QBranch, QPosterior

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.config.schema import TrainConfig

__all__ = ["DHead", "Generator", "Networks", "Trunk", "build_networks", "image_range"]


def image_range(output: str) -> tuple[float, float]:
    """Return the lowest and highest image value of G's output activation."""
    return (0.0, 1.0) if output == "sigmoid" else (-1.0, 1.0)


class Generator(nn.Module):
    """G: latent ``(N, L)`` to images ``(N, C, H, W)`` in the range of its output activation."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        blocks = generator_layers(config.networks, config.latent.dim, image)
        self.layers = nn.Sequential(*blocks)

    def forward(self, latent: Tensor) -> Tensor:
        """Return the images of latents."""
        out: Tensor = self.layers(latent[:, :, None, None])
        return out


class Trunk(nn.Module):
    """The part that D and Q share: images ``(N, C, H, W)`` to features ``(N, F, M, M)``."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        body = trunk_body(config.networks, image)
        self.layers = nn.Sequential(*body.layers)
        self.width, self.size = body.width, body.size

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        out: Tensor = self.layers(images)
        return out


class DHead(nn.Module):
    """D's own part: features ``(N, F, M, M)`` to logits ``(N,)``; their sigmoid is P(real).

    Args:
        trunk: What it stands on.
        categories: Where D classifiers an image and its category together: how many there are. The logit is
            then the image's plus that of the category for these features (Miyato and Koyama, cGANs with
            projection discriminator, arXiv:1802.05637, equation 3).
    """

    def __init__(self, trunk: Trunk, categories: int = 0) -> None:
        super().__init__()
        self.logit = MapToVector(trunk.width, 1 + categories, trunk.size)

    def forward(self, features: Tensor, categories: Tensor | None = None) -> Tensor:
        """Return the logit of each image, of ``categories`` ``(N,)`` where D is told them."""
        logits: Tensor = self.logit(features).flatten(1)
        image = logits[:, 0]
        return image if categories is None else image + logits[:, 1:].gather(1, categories[:, None])[:, 0]


class Networks(nn.Module):
    """G, D's trunk and head, and the branches of Q, of one run."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        self.latent: LatentSpec = config.latent
        self.image = image
        self.generator = Generator(config, image)
        self.trunk = Trunk(config, image)
        if config.is_variational:
            self.noise_head = _noise_head(config, self.trunk)
        else:
            self.d_head = DHead(self.trunk, config.num_conditions)
        self.shares_trunk = config.networks.q == "shared"
        branches = _shared_q(config, self.trunk) if self.shares_trunk else _separate_q(config, image)
        self.q = nn.ModuleList(branches)
        self._decay = config.optimizer.ema_decay
        self.averaged = averaged_copy(self.generator) if self._decay else None

    def discriminate(self, images: Tensor, categories: Tensor | None = None) -> Tensor:
        """Return D's logits ``(N,)`` of images, of ``categories`` ``(N,)`` where D is told them."""
        out: Tensor = self.d_head(self.trunk(images), categories)
        return out

    def infer(self, images: Tensor, features: Tensor | None = None) -> QPosterior:
        """Return Q(c|x) of images.

        Args:
            images: ``(N, C, H, W)``.
            features: The trunk's features of them, where they are at hand already.
        """
        inputs = images
        if self.shares_trunk:
            inputs = self.trunk(images) if features is None else features
        return QPosterior.join([branch(inputs) for branch in self.branches])

    @torch.no_grad()
    def observe(self, images: Tensor, features: Tensor) -> None:
        """Let the running statistics of the branches that learn see real images; nothing else changes."""
        inputs = features if self.shares_trunk else images
        for branch in self.branches:
            if branch.training:
                branch(inputs)

    @property
    def drawing(self) -> Generator:
        """The generator that draws for people: the averaged one where there is one."""
        return self.generator if self.averaged is None else self.averaged

    def average_generator(self, index: int) -> None:
        """Take G as it is after step number ``index`` into the averaged one, where there is one.

        The first steps count for less and less, so that the average soon forgets G's first weights.
        """
        if self.averaged is not None:
            average_into(self.averaged, self.generator, min(self._decay, (1 + index) / (10 + index)))

    @property
    def branches(self) -> list[QBranch]:
        """The branches of Q, in the order of the codes."""
        return [branch for branch in self.q if isinstance(branch, QBranch)]


def _shared_q(config: TrainConfig, trunk: Trunk) -> list[QBranch]:
    nets, spec = config.networks, config.latent
    layers = head_layers(trunk.width, nets.q_width, trunk.size, nets.leaky_relu_slope)
    codes = {"num_logits": spec.num_logits, "continuous": spec.continuous}
    return [QBranch(layers, nets.q_width, **codes, variance=config.objective.variance)]


def _separate_q(config: TrainConfig, image: ImageSpec) -> list[QBranch]:
    nets, spec = config.networks, config.latent
    first = spec.categorical[0] if spec.categorical else 0
    codes = [
        (first, 0, nets.q_features),
        (spec.num_logits - first, spec.continuous, nets.q_width),
    ]
    return [
        QBranch(
            encoder_layers(nets, image, width),
            width,
            num_logits=num_logits,
            continuous=continuous,
            variance=config.objective.variance,
        )
        for num_logits, continuous, width in codes
        if num_logits or continuous
    ]


def _noise_head(config: TrainConfig, trunk: Trunk) -> QBranch:
    """What a variational autoencoder has in D's place: q(z|x) on the trunk, which infers the noise."""
    nets, noise = config.networks, config.latent.noise
    layers = head_layers(trunk.width, nets.q_width, trunk.size, nets.leaky_relu_slope)
    return QBranch(layers, nets.q_width, num_logits=0, continuous=noise, variance=(-10.0, 2.0))


def build_networks(config: TrainConfig, *, size: int, channels: int) -> Networks:
    """Build networks with seeded weights: N(0, 0.02) for convolutions, N(1, 0.02) for BatchNorm's scale.

    A separate Q, which is no part of the adversarial game, has torch's own initial weights.

    Args:
        config: The run's config; its seed decides the weights, whatever was drawn before.
        size: Height and width of the images.
        channels: 1 or 3.

    Raises:
        UsageError: The size does not halve evenly.
    """
    low, high = image_range(config.networks.output)
    image = ImageSpec(size=size, channels=channels, low=low, high=high)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # a separate Q keeps the weights that torch draws
        networks = Networks(config, image)
    rng = torch.Generator().manual_seed(config.seed)
    game = [networks.generator, networks.trunk]
    game.append(networks.noise_head if config.is_variational else networks.d_head)
    if networks.shares_trunk:
        game.append(networks.q)
    for module in (module for part in game for module in part.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            nn.init.zeros_(module.bias)
    if networks.averaged is not None:
        networks.averaged.load_state_dict(networks.generator.state_dict())
    return networks
