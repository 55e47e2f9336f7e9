"""Check that a bundle works on this machine: generate images, encode them, and compare the codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.images.arrays import to_uint8

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
    """By continuous code: Pearson correlation of the code and Q's mean. 1 is perfect, 0 is chance."""
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
    same = posterior.categories == latents.categories
    spec = bundle.latent
    return SelfCheck(
        images=images,
        provider=bundle.provider,
        agreement={name: float(same[:, i].mean()) for i, name in enumerate(spec.categorical_names)},
        correlation={
            name: _correlation(latents.styles[:, i], posterior.style_mean[:, i])
            for i, name in enumerate(spec.continuous_names)
        },
        seconds=time.perf_counter() - start,
    )


def _correlation(codes: npt.NDArray[np.float32], means: npt.NDArray[np.float32]) -> float:
    if np.ptp(codes) == 0 or np.ptp(means) == 0:
        return 0.0  # undefined where one is constant
    return float(np.corrcoef(codes, means)[0, 1])
