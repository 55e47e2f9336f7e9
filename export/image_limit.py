"""How many images an export loads and estimates a statistic from, by their size."""

from __future__ import annotations

from typing import Final

SMALL: Final = 32
"""Height and width up to which a statistic has no limit."""
_AT_SMALL: Final = 8_000
_LEAST: Final = 1_000
_LOADED: Final = 60_000
_PARTS: Final = 4
"""The OOD score is fitted on other images than its threshold, for which it takes a quarter of all."""


def image_limit(size: int, most: int) -> int:
    """Return how many images of ``size`` x ``size`` pixels to estimate from.

    Up to 32 x 32: ``most``. The work and the memory for an image grow with its pixels, so of larger images at
    most as many as have the pixels of 8,000 images of 32 x 32, and at least 1,000: 2,000 of 64 x 64.
    """
    return most if size <= SMALL else min(most, max(_LEAST, _AT_SMALL * SMALL**2 // size**2))


def load_limit(size: int) -> int:
    """Return how many training images, and how many test images, of ``size`` x ``size`` pixels to load."""
    return min(_LOADED, _PARTS * image_limit(size, _LOADED))
