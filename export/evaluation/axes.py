"""Measure whether each continuous code of a bundle is used, and has an independent effect of its own.

Needs no real image and no label; :mod:`infogan_tool.train.infogan.axes` explains the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool.export.evaluation.metrics.code_usage import CodeUsage, measure_code_usage
from infogan_tool.export.image_limit import SMALL, image_limit
from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.sampling import Latents
from infogan_tool.train.infogan.axes import MIN_CONTRAST, latents_for, measure_derivatives, plane_angle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from infogan_tool.runtime.bundle.bundle import Bundle

MISALIGNED: Final = 10.0
"""Degrees from which two codes count as mixed."""
_USAGE_IMAGES: Final = 1000
_USAGE_LARGE: Final = 250
"""Of images of more than 32 x 32; enough to tell correlations from the thresholds."""
_MIN_LATENTS: Final = 10
"""Of images of more than 32 x 32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAxes:
    """Two continuous codes."""

    codes: tuple[str, str]
    """Their names."""
    angle: float | None
    """Degrees, from -45 to 45, by which the two codes must be rotated so that the mixed second derivative of
    G by them is least. 0: aligned. None: ``contrast`` is too low to tell."""
    contrast: float
    """Greatest mixed second derivative over all angles, divided by the least; squared norms, at least 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxesTable:
    """All continuous codes of a bundle."""

    latents: int
    """Number of latents that the derivatives are averaged over."""
    effects: Mapping[str, float]
    """By continuous code: how much it changes the image (root mean square of the first derivative), relative
    to the code that changes it most; 0 to 1."""
    pairs: tuple[PairAxes, ...]
    """Every pair of codes."""
    usage: CodeUsage
    """Dead and duplicate codes."""

    @property
    def misalignment(self) -> float | None:
        """The greatest absolute angle of two codes that are not dead, in degrees; None if none is known."""
        return max((abs(pair.angle or 0) for pair in self._known), default=None)

    @property
    def mixed(self) -> list[PairAxes]:
        """Pairs of codes that are not dead, and rotated by more than :data:`MISALIGNED`."""
        return [pair for pair in self._known if abs(pair.angle or 0) > MISALIGNED]

    @property
    def _known(self) -> list[PairAxes]:
        """Pairs of codes that are not dead, whose angle is known."""
        dead = self.usage.dead
        return [p for p in self.pairs if p.angle is not None and not any(code in dead for code in p.codes)]

    def to_card(self) -> dict[str, Any]:
        """Return the entry of a card."""
        return {
            "latents": self.latents,
            "effects": {code: round(effect, 3) for code, effect in self.effects.items()},
            "pairs": [
                {
                    "codes": list(pair.codes),
                    "angle": None if pair.angle is None else round(pair.angle, 1),
                    "contrast": round(pair.contrast, 2),
                }
                for pair in self.pairs
            ],
            "misalignment": None if self.misalignment is None else round(self.misalignment, 1),
            "usage": self.usage.to_dict(),
        }


def measure_axes(bundle: Bundle, *, seed: int = 0) -> AxesTable:
    """Measure the effect and the use of each continuous code, and the angle of each pair.

    Args:
        bundle: Its generator is measured; for the use of a code, its encoder on generated images.
        seed: Seed of the latents.
    """
    codes = bundle.latent.continuous_names
    if not codes:
        usage = CodeUsage(information={}, dead=(), duplicates=(), suggested=0)
        return AxesTable(latents=0, effects={}, pairs=(), usage=usage)
    per_latent = 1 + 2 * len(codes) ** 2
    most = latents_for(len(codes))
    count = max(_MIN_LATENTS, image_limit(bundle.image.size, most * per_latent) // per_latent)
    latents = bundle.sample(count, seed)

    def generate(styles: Tensor) -> Tensor:
        return torch.from_numpy(bundle.generate(Latents(latents.noise, latents.categories, styles.numpy())))

    derivatives = measure_derivatives(generate, torch.from_numpy(latents.styles))
    greatest = derivatives.sizes.max().clamp_min(torch.finfo(derivatives.sizes.dtype).tiny)
    pairs = []
    for i, j in combinations(range(len(codes)), 2):
        angle, contrast = plane_angle(derivatives.moments, i, j)
        known = angle if contrast >= MIN_CONTRAST else None
        pairs.append(PairAxes(codes=(codes[i], codes[j]), angle=known, contrast=contrast))
    return AxesTable(
        latents=len(latents),
        effects=dict(zip(codes, (derivatives.sizes / greatest).tolist(), strict=True)),
        pairs=tuple(pairs),
        usage=_usage(bundle, seed),
    )


def _usage(bundle: Bundle, seed: int) -> CodeUsage:
    latents = bundle.sample(_USAGE_IMAGES if bundle.image.size <= SMALL else _USAGE_LARGE, seed)
    images = to_uint8(bundle.generate(latents), bundle.image)  # rounded to 8 bits, as in an image file
    means = bundle.encode(images).style_mean
    spec = bundle.latent
    return measure_code_usage(spec.continuous_names, latents.styles, means, periodic=spec.periodic)
