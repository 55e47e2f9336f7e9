"""Networks and a loss term of your own: residual G and D, and mode seeking (arXiv:1903.05628).

infogan-tool train --import my_nets --config own.toml --data IMAGES --out run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from infogan_tool.train import register_architecture, register_term

if TYPE_CHECKING:
    from infogan_tool.runtime import ImageSpec
    from infogan_tool.train import TermInputs
    from infogan_tool.train.config.schema import NetworkConfig


class Block(nn.Module):
    """Two convolutions added to their input, after doubling the map (``scale=2``) or before halving it (0.5).

    Maps ``(N, inputs, M, M)`` to ``(N, outputs, M scale, M scale)``.
    """

    def __init__(self, inputs: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.before = nn.Upsample(scale_factor=2) if scale > 1 else nn.Identity()
        self.after = nn.AvgPool2d(2) if scale < 1 else nn.Identity()
        self.skip = nn.Conv2d(inputs, outputs, 1)
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.1),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of both paths."""
        maps = self.before(maps)
        total: Tensor = self.after(nn.functional.leaky_relu(self.main(maps) + self.skip(maps), 0.1))
        return total


@register_architecture("my-residual")
class Residual:
    """Networks for images whose size is a multiple of 4."""

    def __init__(self, networks: NetworkConfig, latent_dim: int, image: ImageSpec) -> None:
        narrow, wide, small = networks.base_width, 2 * networks.base_width, image.size // 4
        self.generator = nn.Sequential(  # latents (N, L) to images (N, C, H, W), before the last activation
            nn.Linear(latent_dim, wide * small * small),
            nn.Unflatten(1, (wide, small, small)),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            Block(wide, narrow, scale=2),
            Block(narrow, narrow, scale=2),
            nn.Conv2d(narrow, image.channels, 3, padding=1),
        )
        self.trunk = nn.Sequential(  # images to features (N, F, M, M), which D and Q share
            nn.Conv2d(image.channels, narrow, 3, padding=1),
            Block(narrow, narrow, scale=0.5),
            Block(narrow, wide, scale=0.5),
        )


@register_term("mode-seeking", update="G")
def mode_seeking(inputs: TermInputs) -> Tensor:
    """Return the distance of latents over the distance of their images: large where G ignores its latents."""
    latents = inputs.latent.vector()
    images = (inputs.fake - inputs.fake.roll(1, dims=0)).abs().flatten(1).mean(dim=1)
    return ((latents - latents.roll(1, dims=0)).abs().mean(dim=1) / (images + 1e-3)).mean()
