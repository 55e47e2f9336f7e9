"""The networks of a run: generator G, D as trunk and head, and Q (q_network.py).

Shapes: N images, C channels, H = W = size, latent width L, features of F channels on an M x M map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.train.engine.ema import ema_copy, update_ema
from infogan_tool.train.engine.layers import MapToVector
from infogan_tool.train.engine.statistics import evaluation_mode
from infogan_tool.train.infogan.architecture_registry import build_architecture
from infogan_tool.train.infogan.architectures import head_layers
from infogan_tool.train.infogan.latents import LatentBatch
from infogan_tool.train.infogan.q_network import QBranch, QPosterior, q_branches

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.latents.sampling import Latents
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.config.schema import TrainConfig

_NOISE_LOG_VARIANCE: Final = (-10.0, 2.0)
"""Bounds of log Var q(z|x) of the variational autoencoder."""
_LEAST_SHARE: Final = 0.01
"""Of the range of images, that the mean colour keeps from its ends, where G's gradient would be 0."""


class Generator(nn.Module):
    """G: latent ``(N, L)`` to images ``(N, C, H, W)`` in the range of its output activation."""

    def __init__(self, layers: nn.Sequential, output: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.Sigmoid() if output == "sigmoid" else nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Return the images of latents."""
        images: Tensor = self.layers(latent)
        return images

    @torch.no_grad()
    def set_mean(self, colour: Tensor) -> None:
        """Let G's images begin near one colour: set the bias of the last layer.

        Args:
            colour: ``(C,)``, from 0 to 1: the least and the greatest value of images.
        """
        logit = colour.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE).logit()
        # tanh(x / 2) = 2 sigmoid(x) - 1
        self.last_bias(len(colour)).copy_(logit if isinstance(self.layers[-1], nn.Sigmoid) else logit / 2)

    def last_bias(self, channels: int) -> Tensor:
        """Return the last layer's bias ``(C,)``.

        Raises:
            UsageError: The architecture's last layer has no bias for each channel.
        """
        last = [part for part in self.layers[:-1].modules() if not list(part.children())][-1]
        bias = getattr(last, "bias", None)
        if not isinstance(bias, Tensor) or bias.shape != (channels,):
            raise UsageError(
                "this architecture's last layer has no bias for each channel, so that G cannot begin with a "
                "mean colour: add --set networks.mean_start=false"
            )
        return bias


class DiscriminatorTrunk(nn.Module):
    """The part of D that a shared Q uses too: images ``(N, C, H, W)`` to features ``(N, F, M, M)``."""

    def __init__(self, layers: nn.Sequential, feature_shape: tuple[int, int]) -> None:
        super().__init__()
        self.layers = layers
        self.feature_shape = feature_shape
        """F and M."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        features: Tensor = self.layers(images)
        return features


class DiscriminatorHead(nn.Module):
    """The part of D that Q does not use: features ``(N, F, M, M)`` to logits ``(N,)``, sigmoid = P(real).

    Args:
        feature_shape: F and M.
        categories: Of a conditional D, the number of categories: the logit is then the sum of one of the
            image and one of its category (Miyato and Koyama, arXiv:1802.05637, equation 3). Else 0.
        has_angle: Whether a conditional D is told an angle too: the logit also has the product of two outputs
            and the angle's cosine and sine.
    """

    def __init__(
        self, feature_shape: tuple[int, int], categories: int = 0, *, has_angle: bool = False
    ) -> None:
        super().__init__()
        width, size = feature_shape
        self.logit = MapToVector(width, 1 + categories + (2 if has_angle else 0), size)

    def forward(
        self, features: Tensor, categories: Tensor | None = None, angle: Tensor | None = None
    ) -> Tensor:
        """Return the logit of each image, given what a conditional D is told.

        Args:
            features: ``(N, F, M, M)``.
            categories: ``(N,)``.
            angle: Cosine and sine ``(N, 2)``.
        """
        logits: Tensor = self.logit(features).flatten(1)
        logit = logits[:, 0]
        if categories is not None:
            logit = logit + logits[:, 1:].gather(1, categories[:, None])[:, 0]
        if angle is not None:
            logit = logit + (logits[:, -2:] * angle).sum(dim=1)
        return logit


class Networks(nn.Module):
    """All networks of a run.

    ``generator``, ``generator_ema`` (or None), ``trunk``, ``d_head`` (of a variational autoencoder instead
    ``noise_head``) and the branches of ``q``.
    """

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        self.latent: LatentSpec = config.latent
        self.image = image
        architecture = build_architecture(config, image)
        self.generator = Generator(architecture.generator, config.networks.output)
        self.trunk = DiscriminatorTrunk(architecture.trunk, architecture.feature_shape)
        if config.is_variational:
            layers, width = head_layers(config.networks, self.trunk.feature_shape), config.networks.q_width
            self.noise_head = QBranch(
                layers,
                width,
                num_logits=0,
                continuous=config.latent.noise,
                variance=_NOISE_LOG_VARIANCE,
                reads_trunk=True,
            )
        else:
            self.d_head = DiscriminatorHead(
                self.trunk.feature_shape,
                config.num_conditions,
                has_angle=config.condition_column is not None,
            )
        self.q = nn.ModuleList(q_branches(config, architecture))
        self._normal_weights = architecture.normal_weights
        self._ema_decay = config.optimizer.ema_decay
        self.generator_ema = ema_copy(self.generator) if self._ema_decay else None

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the initial weights of :func:`build_networks`."""
        parts = [self.generator, self.trunk] if self._normal_weights else []
        parts.append(self.noise_head if hasattr(self, "noise_head") else self.d_head)
        parts += [branch for branch in self.q_branches if branch.reads_trunk]
        for module in (module for part in parts for module in part.modules()):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02, generator=rng)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
                nn.init.zeros_(module.bias)
        if self.generator_ema is not None:
            self.generator_ema.load_state_dict(self.generator.state_dict())

    def discriminate(
        self, images: Tensor, categories: Tensor | None = None, angle: Tensor | None = None
    ) -> Tensor:
        """Return D's logits ``(N,)`` of images, given what a conditional D is told of them."""
        logits: Tensor = self.d_head(self.trunk(images), categories, angle)
        return logits

    def infer(self, images: Tensor, features: Tensor | None = None) -> QPosterior:
        """Return Q(c|x) of images.

        Args:
            images: ``(N, C, H, W)``.
            features: The trunk's features of ``images``, if they have been computed already.
        """
        if features is None and any(branch.reads_trunk for branch in self.q_branches):
            features = self.trunk(images)
        inputs = [features if branch.reads_trunk else images for branch in self.q_branches]
        return QPosterior.join([branch(given) for branch, given in zip(self.q_branches, inputs, strict=True)])

    def infer_styles(self, images: Tensor, features: Tensor | None = None) -> Tensor:
        """Return the means ``(N, continuous)`` of the continuous codes; there must be one.

        Args:
            images: ``(N, C, H, W)``.
            features: The trunk's features of ``images``, if they have been computed already.
        """
        branch = next(branch for branch in self.q_branches if branch.mean is not None)
        if branch.reads_trunk and features is None:
            features = self.trunk(images)
        posterior: QPosterior = branch(features if branch.reads_trunk else images)
        return posterior.mean

    @property
    def q_branches(self) -> list[QBranch]:
        """The branches of Q, in the order of the codes."""
        return [branch for branch in self.q if isinstance(branch, QBranch)]

    @property
    def q_category(self) -> QBranch:
        """The branch of Q that infers the first categorical code."""
        return self.q_branches[0]

    def layers_of(self, branch: QBranch) -> nn.Sequential:
        """Return the layers from images to the features of a branch of Q."""
        return nn.Sequential(*(self.trunk.layers if branch.reads_trunk else ()), *branch.layers)

    def freeze_q_category(self) -> None:
        """Freeze :attr:`q_category`, pre-trained by clustering, and put it into evaluation mode."""
        self.q_category.eval().requires_grad_(False)

    @torch.no_grad()
    def update_bn_stats(self, images: Tensor, features: Tensor) -> None:
        """Update BatchNorm's running statistics of Q's branches that are in training mode.

        Args:
            images: Real images ``(N, C, H, W)``.
            features: The trunk's features of them.
        """
        for branch in self.q_branches:
            if branch.training:
                branch(features if branch.reads_trunk else images)

    @property
    def export_generator(self) -> Generator:
        """The generator that is exported and makes sample sheets: the EMA of G, if there is one, else G."""
        return self.generator if self.generator_ema is None else self.generator_ema

    @torch.no_grad()
    def generate(self, latents: Latents) -> npt.NDArray[np.float32]:
        """Return images ``(N, C, H, W)`` of the exported generator, in evaluation mode; no state changes."""
        generator = self.export_generator
        device = next(generator.parameters()).device
        parts = latents.noise, latents.categories, latents.styles
        batch = LatentBatch(self.latent, *(torch.from_numpy(part).to(device) for part in parts))
        with evaluation_mode(generator):
            images: npt.NDArray[np.float32] = generator(batch.vector()).cpu().numpy()
        return images

    def update_generator_ema(self, index: int) -> None:
        """Update ``generator_ema``, if there is one, with G after step number ``index``.

        The decay grows over the first steps, so that the average does not keep G's initial weights.
        """
        if self.generator_ema is not None:
            update_ema(self.generator_ema, self.generator, min(self._ema_decay, (1 + index) / (10 + index)))


def build_networks(config: TrainConfig, *, size: int, channels: int) -> Networks:
    """Build networks with seeded weights: N(0, 0.02) for convolutions, N(1, 0.02) for BatchNorm's scale.

    A separate Q keeps torch's default initialisation; architecture ``residual`` and your own keep theirs.

    Args:
        config: The run's config. Its seed alone decides the weights; torch's global generator is unchanged.
        size: Height and width of the images.
        channels: 1 or 3.

    Raises:
        UsageError: The architecture is not known or not possible: its sizes do not fit the images.
    """
    low = 0.0 if config.networks.output == "sigmoid" else -1.0
    image = ImageSpec(size=size, channels=channels, low=low, high=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks = Networks(config, image)
        networks.initialise(torch.Generator().manual_seed(config.seed))
        if config.networks.spectral_norm:
            _normalise_spectrum(networks.trunk, *([] if config.is_variational else [networks.d_head]))
    return networks


def _normalise_spectrum(*modules: nn.Module) -> None:
    """Divide each weight by its greatest singular value (Miyato et al., arXiv:1802.05957)."""
    for part in [part for module in modules for part in module.modules()]:
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            spectral_norm(part)
