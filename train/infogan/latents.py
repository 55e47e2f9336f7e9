"""Latents as torch tensors, and sampling them from their priors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW, PERIOD

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.spec import LatentSpec


@dataclass(frozen=True, slots=True)
class LatentBatch:
    """N latents in parts: noise ``(N, Z)``, category indices ``(N, K)`` int64, styles ``(N, C)``."""

    spec: LatentSpec
    noise: Tensor
    categories: Tensor
    styles: Tensor

    def __len__(self) -> int:
        return len(self.noise)

    def vector(self) -> Tensor:
        """Return G's input ``(N, dim)`` float32: noise, one-hot categories, styles, in the spec's order."""
        codes = [
            F.one_hot(self.categories[:, i], size).to(self.noise.dtype)
            for i, size in enumerate(self.spec.categorical)
        ]
        return torch.cat([self.noise, *codes, self.styles], dim=1)

    def __getitem__(self, part: slice | Tensor) -> LatentBatch:
        """Return some of the latents."""
        return LatentBatch(self.spec, self.noise[part], self.categories[part], self.styles[part])


class PeriodicInputs(nn.Module):
    """The first layer of a G with P periodic codes: each becomes a point of the unit circle.

    So G generates the same image at both ends of such a code, and changes it smoothly between them.
    """

    def __init__(self, spec: LatentSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents ``(N, L)`` to ``(N, L + P)``: all other variables, then cosines, then sines."""
        codes = torch.split_with_sizes(
            latents[:, self.spec.continuous_slice], [1] * self.spec.continuous, dim=1
        )
        periodic = self.spec.periodic_columns
        others = [code for i, code in enumerate(codes) if i not in periodic]
        angles = torch.cat([codes[i] for i in periodic], dim=1) * (2 * math.pi / PERIOD)
        rest = latents[:, : self.spec.continuous_slice.start]
        return torch.cat([rest, *others, torch.cos(angles), torch.sin(angles)], dim=1)


def first_layer_rows(spec: LatentSpec, codes: list[int]) -> list[int]:
    """Return which of the inputs of G's layers are these continuous codes, none of them periodic.

    Without periodic codes they are the latents; otherwise what :class:`PeriodicInputs` returns.
    """
    plain = [code for code in range(spec.continuous) if code not in spec.periodic_columns]
    return [spec.continuous_slice.start + plain.index(code) for code in codes]


def sample_latents(spec: LatentSpec, count: int, rng: torch.Generator) -> LatentBatch:
    """Sample ``count`` latents from the priors, on the device of ``rng``."""
    device = rng.device
    if spec.noise_prior == "normal":
        noise = torch.randn(count, spec.noise, generator=rng, device=device)
    else:
        noise = torch.rand(count, spec.noise, generator=rng, device=device) * 2 - 1
    codes = [torch.randint(size, (count, 1), generator=rng, device=device) for size in spec.categorical]
    categories = torch.cat(codes, dim=1) if codes else torch.zeros(count, 0, dtype=torch.long, device=device)
    unit = torch.rand(count, spec.continuous, generator=rng, device=device)
    styles = CONTINUOUS_LOW + (CONTINUOUS_HIGH - CONTINUOUS_LOW) * unit
    return LatentBatch(spec, noise, categories, styles)
