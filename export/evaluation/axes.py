"""Measure whether each continuous code has an independent effect of its own, on generated images alone.

Where G depends on independent factors, its mixed second derivatives by two of them are small. If two codes
are a rotation of two factors, the mixed derivative by the codes is large, and rotating the codes back makes
it small. :func:`measure_axes` finds that angle for each pair of codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from infogan_tool.runtime.latents.sampling import Latents
from infogan_tool.train.infogan.objective import HESSIAN_STEP, smoothed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.bundle import Bundle

LATENTS: Final = 400
"""Number of latents whose derivatives are averaged."""
MAX_IMAGES: Final = 20_000
"""Maximum number of generated images; with many codes there are fewer latents."""
MIN_CONTRAST: Final = 1.5
"""Below it the mixed derivative hardly depends on the angle, which is then unknown."""
MISALIGNED: Final = 10.0
"""Degrees from which two codes count as mixed."""
DEAD: Final = 0.1
"""Effect, relative to the greatest, below which a code counts as dead."""


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

    @property
    def misalignment(self) -> float | None:
        """The greatest absolute angle of two codes that are not dead, in degrees; None if none is known."""
        dead = set(self.dead)
        angles = [abs(p.angle) for p in self.pairs if p.angle is not None and not dead & set(p.codes)]
        return max(angles, default=None)

    @property
    def dead(self) -> list[str]:
        """Codes that hardly change the image."""
        return [code for code, effect in self.effects.items() if effect < DEAD]

    @property
    def mixed(self) -> list[PairAxes]:
        """Pairs of codes that are not dead, and rotated by more than :data:`MISALIGNED`."""
        dead = set(self.dead)
        return [
            pair
            for pair in self.pairs
            if pair.angle is not None and abs(pair.angle) > MISALIGNED and not dead & set(pair.codes)
        ]

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
        }


def measure_axes(bundle: Bundle, *, seed: int = 0) -> AxesTable:
    """Measure the effect of each continuous code, and the angle of each pair.

    Derivatives are finite differences of smoothed images, averaged over latents from the prior.

    Args:
        bundle: Its generator is measured.
        seed: Seed of the latents.
    """
    codes, count = bundle.latent.continuous_names, bundle.latent.continuous
    if not codes:
        return AxesTable(latents=0, effects={}, pairs=())
    images_per_latent = 1 + 2 * count * count
    latents = bundle.sample(max(10, min(LATENTS, MAX_IMAGES // images_per_latent)), seed)

    def at(moves: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return smoothed images, flat, with the codes of every latent moved by ``moves (C,)``."""
        styles = (latents.styles * (1 - HESSIAN_STEP / 2) + moves).astype(np.float32)
        images = bundle.generate(Latents(latents.noise, latents.categories, styles))
        nchw = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return smoothed(nchw).flatten(1).numpy()

    first, mixed = derivatives(at, count)
    norms = np.array([np.sqrt((part * part).sum(axis=1).mean()) for part in first])
    effects = norms / max(float(norms.max()), np.finfo(np.float64).tiny)
    pairs = []
    for i, j in combinations(range(count), 2):
        angle, contrast = rotation_of_axes(mixed[i, i], mixed[j, j], mixed[i, j])
        known = angle if contrast >= MIN_CONTRAST else None
        pairs.append(PairAxes(codes=(codes[i], codes[j]), angle=known, contrast=contrast))
    return AxesTable(
        latents=len(latents),
        effects=dict(zip(codes, effects.tolist(), strict=True)),
        pairs=tuple(pairs),
    )


def derivatives(
    at: Callable[[NDArray[np.float64]], NDArray[np.float32]], count: int
) -> tuple[list[NDArray[np.float64]], dict[tuple[int, int], NDArray[np.float64]]]:
    """Return first and second derivatives by central differences.

    Args:
        at: Returns values ``(N, P)`` at N points moved by ``(count,)``.
        count: Number of variables.

    Returns:
        The first derivatives ``(N, P)`` by each variable, and the second by each pair ``(i, j)``, i <= j.
    """
    step = HESSIAN_STEP / 2
    moves = step * np.eye(count)
    base = at(np.zeros(count)).astype(np.float64)
    first, second = [], {}
    for i in range(count):
        up, down = at(moves[i]).astype(np.float64), at(-moves[i]).astype(np.float64)
        first.append((up - down) / (2 * step))
        second[i, i] = (up + down - 2 * base) / step**2
    for i, j in combinations(range(count), 2):
        same = at(moves[i] + moves[j]).astype(np.float64) + at(-moves[i] - moves[j])
        other = at(moves[i] - moves[j]).astype(np.float64) + at(moves[j] - moves[i])
        second[i, j] = (same - other) / (4 * step**2)
    return first, second


def rotation_of_axes(
    second_i: NDArray[np.float64], second_j: NDArray[np.float64], mixed: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the rotation of two axes that makes the mixed second derivative least.

    By axes rotated by phi the mixed derivative is ``m = (G_jj - G_ii) / 2 sin 2 phi + G_ij cos 2 phi``, and
    ``E|m|^2 = (p + q) / 2 + (q - p) / 2 cos 4 phi + r sin 4 phi`` with ``p = E|(G_jj - G_ii) / 2|^2``,
    ``q = E|G_ij|^2`` and ``r`` the mean scalar product of the two.

    Args:
        second_i: G_ii ``(N, P)``.
        second_j: G_jj.
        mixed: G_ij.

    Returns:
        The angle in degrees, above -45 and at most 45, and the greatest E|m|^2 divided by the least.
    """
    half = (second_j - second_i) / 2
    p, q, r = (float((a * b).sum(axis=1).mean()) for a, b in ((half, half), (mixed, mixed), (half, mixed)))
    angle = math.degrees(math.atan2(-2 * r, p - q)) / 4
    mean, amplitude = (p + q) / 2, math.hypot((p - q) / 2, r)
    if mean == 0:
        return 0.0, 1.0
    return angle, (mean + amplitude) / max(mean - amplitude, 1e-6 * mean)
