"""Check that a bundle works on this machine: generate images, encode them, and compare the codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.images.arrays import to_uint8
from infogan_tool.runtime.latents.spec import PERIOD

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.bundle.bundle import Bundle

_IMAGES: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfCheck:
    """Result of generating images and encoding them."""

    images: int
    """Number of images."""
    provider: str
    """The execution provider in use."""
    agreement: dict[str, float]
    """By categorical code: share of the images whose category Q infers. 1 is perfect, 1 / k is chance."""
    correlation: dict[str, float]
    """By continuous code: :func:`correlation` of the code and Q's mean. 1 is perfect, 0 is chance."""
    seconds: float
    """Time taken, including opening the graphs."""


def self_check(bundle: Bundle, images: int = _IMAGES) -> SelfCheck:
    """Generate ``images`` from the prior, round them to 8 bits, encode them, and compare the codes.

    Raises:
        InfoganError: A graph cannot be opened or run, or gives values that are not finite or out of range.
    """
    start = time.perf_counter()
    latents = bundle.sample(images)
    posterior = bundle.encode(to_uint8(bundle.generate(latents), bundle.image))
    same = posterior.most_probable == latents.categories
    spec = bundle.latent
    return SelfCheck(
        images=images,
        provider=bundle.provider,
        agreement={name: float(same[:, i].mean()) for i, name in enumerate(spec.categorical_names)},
        correlation={
            name: correlation(
                latents.styles[:, i], posterior.style_mean[:, i], periodic=name in spec.periodic
            )
            for i, name in enumerate(spec.continuous_names)
        },
        seconds=time.perf_counter() - start,
    )


def correlation(
    codes: npt.NDArray[np.floating], means: npt.NDArray[np.floating], *, periodic: bool = False
) -> float:
    """Return how well means ``(N,)`` follow a continuous code ``(N,)``, from -1 to 1; 0 if one is constant.

    Pearson's r; of a periodic code the mean cosine of the difference, as an angle.
    """
    if not len(codes):
        return 0.0
    if periodic:
        return float(np.cos(2 * np.pi / PERIOD * (np.asarray(means, np.float64) - codes)).mean())
    if np.ptp(codes) == 0 or np.ptp(means) == 0:
        return 0.0  # undefined where one is constant
    return float(np.corrcoef(codes, means)[0, 1])
