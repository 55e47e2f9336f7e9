"""Prove that a bundle works here: draw images, read them back, and see that the codes survive."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.images.arrays import to_uint8

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.bundle.bundle import Bundle

__all__ = ["SelfCheck", "self_check"]

_IMAGES: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfCheck:
    """What came of drawing images and encoding them again."""

    images: int
    """How many."""
    provider: str
    """The execution provider that did it."""
    agreement: dict[str, float]
    """By categorical code: part of the images whose category Q recovers. 1 is perfect, 1 / k is chance."""
    correlation: dict[str, float]
    """By continuous code: correlation of value drawn and mean recovered. 1 is perfect, 0 is chance."""
    seconds: float
    """Time taken, opening of the graphs included."""


def self_check(bundle: Bundle, images: int = _IMAGES) -> SelfCheck:
    """Draw ``images`` from the prior, round them to 8 bits as a file would, and encode them.

    Raises:
        InfoganError: A graph cannot be opened or run, or gives values that are not finite or out of range.
    """
    begin = time.perf_counter()
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
        seconds=time.perf_counter() - begin,
    )


def _correlation(drawn: npt.NDArray[np.float32], found: npt.NDArray[np.float32]) -> float:
    if np.ptp(drawn) == 0 or np.ptp(found) == 0:
        return 0.0  # a code that Q answers always alike carries nothing
    return float(np.corrcoef(drawn, found)[0, 1])
