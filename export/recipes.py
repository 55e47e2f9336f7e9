"""How pictures from elsewhere are brought to what was trained on, by the data set that was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.contract import Preparation

if TYPE_CHECKING:
    from infogan_tool.runtime.contract import ImageSpec

__all__ = ["recipe_of"]

_MNIST_SIZE: Final = 28
_MNIST_BOX: Final = 20
_MNIST_STROKE: Final = 2.0
"""One stroke in five of MNIST is thinner, few by much."""
_LIKE_MNIST: Final = ("mnist", "qmnist")
"""Data sets whose pictures were made so: a box of 20 pixels, the centre of mass in the middle of 28."""


def recipe_of(data: str | None, image: ImageSpec) -> Preparation | None:
    """Return the recipe of a data set's pictures at the size they were trained on; None where none is known.

    Args:
        data: Name of the data set.
        image: What the graphs take.
    """
    if data not in _LIKE_MNIST or image.channels != 1:
        return None
    scale = image.size / _MNIST_SIZE
    return Preparation(
        box=max(1, round(_MNIST_BOX * scale)),
        centre="mass",
        ink="light",
        stroke=round(_MNIST_STROKE * scale, 3),
    )
