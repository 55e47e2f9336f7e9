"""The paper's networks for any picture size: generator G, D's trunk and head, and Q on the trunk or apart.

Shapes: N pictures, C channels, H = W = size, latent width L, feature width F.

The trunk halves the picture by stride-2 convolutions until the map is at most 8 x 8, then takes the whole
map in one convolution. 28 x 28 gives 14, 7 and the full-map kernel 7 of the paper; 32 gives 16, 8; 64 gives
32, 16, 8. G is its mirror.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.runtime.contract import ImageSpec
from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.averaging import average_into, averaged_copy
from infogan_tool.train.recognition import QBranch, QPosterior

if TYPE_CHECKING:
    from infogan_tool.runtime.latent import LatentSpec
    from infogan_tool.train.config import TrainConfig

__all__ = ["DHead", "Generator", "Networks", "Trunk", "build_networks", "image_range"]

_LARGEST_FULL_MAP = 8
_SMALLEST_FULL_MAP = 4


def image_range(output: str) -> tuple[float, float]:
    """Return the lowest and highest picture value of G's output activation."""
    return (0.0, 1.0) if output == "sigmoid" else (-1.0, 1.0)


def _halvings(size: int) -> int:
    """Return how often a size is halved, at least once, until at most 8 remain.

    Raises:
        UsageError: The size does not halve evenly; the message names the nearest ones that do.
    """
    full_map, count = size, 0
    while (full_map > _LARGEST_FULL_MAP or not count) and full_map % 2 == 0:
        full_map, count = full_map // 2, count + 1
    if not count or not _SMALLEST_FULL_MAP <= full_map <= _LARGEST_FULL_MAP:
        maps = range(_SMALLEST_FULL_MAP, _LARGEST_FULL_MAP + 1)
        sizes = {full_map * 2**count for full_map in maps for count in range(1, 8)}
        nearest = sorted(sorted(sizes, key=lambda s: abs(s - size))[:2])
        raise UsageError(
            f"pictures of {size} x {size} do not halve evenly: use --size {' or '.join(map(str, nearest))}"
        )
    return count


def _widths(config: TrainConfig, size: int) -> list[int]:
    return [config.networks.base_width * 2**i for i in range(_halvings(size))]


class Generator(nn.Module):
    """G: latent ``(N, L)`` to pictures ``(N, C, H, W)`` in the range of its output activation."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        widths = _widths(config, image.size)[::-1]
        full, full_map = config.networks.full_width, image.size // 2 ** len(widths)
        blocks: list[nn.Module] = [
            *_up(config.latent.dim, full, kernel=1),
            *_up(full, widths[0], kernel=full_map),
        ]
        for wide, narrow in pairwise(widths):
            blocks += _up(wide, narrow, kernel=4, stride=2, padding=1)
        blocks.append(nn.ConvTranspose2d(widths[-1], image.channels, 4, 2, 1))
        blocks.append(nn.Sigmoid() if config.networks.output == "sigmoid" else nn.Tanh())
        self.layers = nn.Sequential(*blocks)

    def forward(self, latent: Tensor) -> Tensor:
        """Return the pictures of latents."""
        out: Tensor = self.layers(latent[:, :, None, None])
        return out


class Trunk(nn.Module):
    """The part that D and Q share: pictures ``(N, C, H, W)`` to features ``(N, F, 1, 1)``."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        # No BatchNorm on the first layer: D has to see the pictures' own brightness.
        layers = _encoder_layers(config, image, config.networks.full_width, norm_first=False)
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of pictures."""
        out: Tensor = self.layers(images)
        return out


class DHead(nn.Module):
    """D's own part: features ``(N, F, 1, 1)`` to logits ``(N,)``; their sigmoid is P(real)."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.logit = nn.Conv2d(config.networks.full_width, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logit of each picture."""
        out: Tensor = self.logit(features).flatten()
        return out


class Networks(nn.Module):
    """G, D's trunk and head, and the branches of Q, of one run."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        self.latent: LatentSpec = config.latent
        self.image = image
        self.generator = Generator(config, image)
        self.trunk = Trunk(config, image)
        self.d_head = DHead(config)
        self.shares_trunk = config.networks.recognition == "shared"
        branches = _shared_q(config) if self.shares_trunk else _separate_q(config, image)
        self.q = nn.ModuleList(branches)
        self._decay = config.optimizer.g_average_decay
        self.averaged = averaged_copy(self.generator) if self._decay else None

    def discriminate(self, images: Tensor) -> Tensor:
        """Return D's logits ``(N,)`` of pictures."""
        out: Tensor = self.d_head(self.trunk(images))
        return out

    def recognise(self, images: Tensor, features: Tensor | None = None) -> QPosterior:
        """Return Q(c|x) of pictures.

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
        """Let the running statistics of the branches that learn see real pictures; nothing else changes."""
        inputs = features if self.shares_trunk else images
        for branch in self.branches:
            if branch.training:
                branch(inputs)

    @property
    def drawing(self) -> Generator:
        """The generator that draws for people: the averaged one where there is one."""
        return self.generator if self.averaged is None else self.averaged

    def average_generator(self) -> None:
        """Take G as it is now into the averaged one, where there is one."""
        if self.averaged is not None:
            average_into(self.averaged, self.generator, self._decay)

    @property
    def branches(self) -> list[QBranch]:
        """The branches of Q, in the order of the codes."""
        return [branch for branch in self.q if isinstance(branch, QBranch)]


def _shared_q(config: TrainConfig) -> list[QBranch]:
    nets, spec = config.networks, config.latent
    layers = _down(nets.full_width, nets.q_width, nets.leak, kernel=1)
    codes = {"num_logits": spec.num_logits, "continuous": spec.continuous}
    return [QBranch(layers, nets.q_width, **codes, log_variance=config.objective.log_variance)]


def _separate_q(config: TrainConfig, image: ImageSpec) -> list[QBranch]:
    spec, bounds = config.latent, config.objective.log_variance
    first = spec.categorical[0] if spec.categorical else 0
    codes = [
        (first, 0, config.networks.q_features),
        (spec.num_logits - first, spec.continuous, config.networks.q_width),
    ]
    return [
        QBranch(
            # BatchNorm on the first layer too: what a picture shows is not a matter of its brightness.
            _encoder_layers(config, image, width, norm_first=True),
            width,
            num_logits=num_logits,
            continuous=continuous,
            log_variance=bounds,
        )
        for num_logits, continuous, width in codes
        if num_logits or continuous
    ]


def _encoder_layers(
    config: TrainConfig, image: ImageSpec, width: int, *, norm_first: bool
) -> list[nn.Module]:
    """Pictures to ``width`` features: a halving convolution for each width, then one over the whole map."""
    leak, widths = config.networks.leak, _widths(config, image.size)
    halving = {"kernel": 4, "stride": 2, "padding": 1}
    if norm_first:
        layers = _down(image.channels, widths[0], leak, **halving)
    else:
        layers = [nn.Conv2d(image.channels, widths[0], 4, 2, 1), nn.LeakyReLU(leak)]
    for narrow, wide in pairwise(widths):
        layers += _down(narrow, wide, leak, **halving)
    return layers + _down(widths[-1], width, leak, kernel=image.size // 2 ** len(widths))


def build_networks(config: TrainConfig, *, size: int, channels: int) -> Networks:
    """Build networks with seeded weights: N(0, 0.02) for convolutions, N(1, 0.02) for BatchNorm's scale.

    A separate Q, which is no part of the adversarial game, has torch's own initial weights.

    Args:
        config: The run's config; its seed decides the weights, whatever was drawn before.
        size: Height and width of the pictures.
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
    adversarial = [networks.generator, networks.trunk, networks.d_head]
    if networks.shares_trunk:
        adversarial.append(networks.q)
    for module in (module for part in adversarial for module in part.modules()):
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


def _down(
    inputs: int, outputs: int, leak: float, *, kernel: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    # BatchNorm's shift makes the convolution's bias redundant.
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(leak)]


def _up(inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
