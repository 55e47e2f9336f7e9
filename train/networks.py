"""The paper's networks for any picture size: generator G, and one trunk under the D head and the Q head.

Shapes: N pictures, C channels, H = W = size, latent width L, feature width F.

The trunk halves the picture by stride-2 convolutions until the map is at most 8 x 8, then takes the whole
map in one convolution. 28 x 28 gives 14, 7 and the full-map kernel 7 of the paper; 32 gives 16, 8; 64 gives
32, 16, 8. G is its mirror.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from infogan_tool.runtime.contract import ImageSpec
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from infogan_tool.runtime.latent import LatentSpec
    from infogan_tool.train.config import TrainConfig

__all__ = ["DHead", "Generator", "Networks", "QHead", "QPosterior", "Trunk", "build_networks", "image_range"]

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
        leak, widths = config.networks.leak, _widths(config, image.size)
        full_map = image.size // 2 ** len(widths)
        # No BatchNorm on the first layer: D has to see the pictures' own brightness.
        blocks: list[nn.Module] = [nn.Conv2d(image.channels, widths[0], 4, 2, 1), nn.LeakyReLU(leak)]
        for narrow, wide in pairwise(widths):
            blocks += _down(narrow, wide, leak, kernel=4, stride=2, padding=1)
        blocks += _down(widths[-1], config.networks.full_width, leak, kernel=full_map)
        self.layers = nn.Sequential(*blocks)

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


@dataclass(frozen=True, slots=True)
class QPosterior:
    """The parameters of Q(c|x) for N pictures."""

    logits: Tensor
    """``(N, num_logits)``: the logits of all categorical codes side by side."""
    mean: Tensor
    """``(N, continuous)``: means of the continuous codes."""
    log_var: Tensor
    """``(N, continuous)``: log-variances, inside the config's bounds."""


class QHead(nn.Module):
    """Q's own part: features ``(N, F, 1, 1)`` to the posterior of the codes.

    The variance goes through exp, as in the paper; its logarithm first through a sigmoid between two bounds,
    which unlike a clamp leaves a gradient to come back by. At a raw output of 0 and bounds of (-4, 2) the
    standard deviation is exp(-0.5) = 0.61, close to the prior's 0.58.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        spec, nets = config.latent, config.networks
        self.hidden = nn.Sequential(*_down(nets.full_width, nets.q_width, nets.leak, kernel=1))
        self.logits = nn.Conv2d(nets.q_width, spec.num_logits, 1) if spec.num_logits else None
        self.mean = nn.Conv2d(nets.q_width, spec.continuous, 1) if spec.continuous else None
        self.log_var = nn.Conv2d(nets.q_width, spec.continuous, 1) if spec.continuous else None
        self.low, self.high = config.objective.log_variance

    def forward(self, features: Tensor) -> QPosterior:
        """Return the posterior's parameters; those of absent codes have width 0."""
        hidden = self.hidden(features)
        nothing = hidden.new_zeros(hidden.shape[0], 0)
        logits = self.logits(hidden).flatten(1) if self.logits is not None else nothing
        if self.mean is None or self.log_var is None:
            return QPosterior(logits, nothing, nothing)
        span = self.high - self.low
        log_var = self.low + span * torch.sigmoid(self.log_var(hidden).flatten(1))
        return QPosterior(logits, self.mean(hidden).flatten(1), log_var)


class Networks(nn.Module):
    """G, the trunk, the D head and the Q head of one run."""

    def __init__(self, config: TrainConfig, image: ImageSpec) -> None:
        super().__init__()
        self.latent: LatentSpec = config.latent
        self.image = image
        self.generator = Generator(config, image)
        self.trunk = Trunk(config, image)
        self.d_head = DHead(config)
        self.q_head = QHead(config)

    def discriminate(self, images: Tensor) -> Tensor:
        """Return D's logits ``(N,)`` of pictures."""
        out: Tensor = self.d_head(self.trunk(images))
        return out

    def recognise(self, images: Tensor) -> QPosterior:
        """Return Q(c|x) of pictures."""
        out: QPosterior = self.q_head(self.trunk(images))
        return out


def build_networks(config: TrainConfig, *, size: int, channels: int) -> Networks:
    """Build networks with seeded weights: N(0, 0.02) for convolutions, N(1, 0.02) for BatchNorm's scale.

    Args:
        config: The run's config; its seed decides the weights, whatever was drawn before.
        size: Height and width of the pictures.
        channels: 1 or 3.

    Raises:
        UsageError: The size does not halve evenly.
    """
    low, high = image_range(config.networks.output)
    image = ImageSpec(size=size, channels=channels, low=low, high=high)
    with torch.random.fork_rng(devices=[]):  # torch draws weights at construction; ours are drawn below
        networks = Networks(config, image)
    rng = torch.Generator().manual_seed(config.seed)
    for module in networks.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02, generator=rng)
            nn.init.zeros_(module.bias)
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
