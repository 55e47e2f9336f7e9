"""The preprocessing of a bundle: chosen by the data set, or by the options of ``export``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.preprocessing.matches import VISIBLE, matches_preprocessing
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

_MNIST_SIZE: Final = 28
_MNIST_BOX: Final = 20
_MNIST_STROKE: Final = 2.0
"""One stroke in five of MNIST is thinner, few by much."""
_LIKE_MNIST: Final = ("mnist", "qmnist")
"""Data sets with this layout: digits in a box of 20 pixels, centre of mass in the middle of 28 pixels."""
_CHECKED: Final = 2_000
_ENOUGH: Final = 0.9
"""Share of the training images that should match the preprocessing; below it the user gets a note."""


def preprocessing_for(data: str | None, image: ImageSpec) -> Preprocessing | None:
    """Return the preprocessing of a known data set at the bundle's image size, or None.

    Args:
        data: Name of the data set.
        image: The bundle's image format.
    """
    if data not in _LIKE_MNIST or image.channels != 1:
        return None
    scale = image.size / _MNIST_SIZE
    return Preprocessing(
        box=max(1, round(_MNIST_BOX * scale)),
        centre="mass",
        ink="light",
        stroke=round(_MNIST_STROKE * scale, 3),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PreprocessingOptions:
    """The layout of the training images; the fields are the options of ``export`` of the same names."""

    preprocessing: Literal["centred-foreground", "plain"]
    """``"plain"``: images are only padded and resized, also for a known data set."""
    box: int | None = None
    ink: Literal["light", "dark"] | None = None
    centre: Literal["mass", "box"] | None = None
    stroke: float | None = None

    def resolve(self, image: ImageSpec) -> Preprocessing | None:
        """Return the preprocessing for images of this format.

        Raises:
            UsageError: A value is missing, not possible for these images, or has no effect.
        """
        if self.preprocessing == "plain":
            if (self.box, self.ink, self.centre, self.stroke) != (None, None, None, None):
                raise UsageError("--preprocessing plain takes no --box, --ink, --centre or --stroke")
            return None
        if self.box is None or self.ink is None:
            raise UsageError(
                "--preprocessing centred-foreground needs --box PIXELS and --ink light or dark: the longer "
                "side of the objects in the training images, and whether they are lighter than the background"
            )
        if image.channels != 1:
            raise UsageError(
                "--preprocessing centred-foreground is for grey images, and the run was trained on colour: "
                "train with --channels 1"
            )
        if not 1 <= self.box <= image.size:
            raise UsageError(f"--box {self.box}: from 1 to {image.size}, the size of the training images")
        stroke = 0.0 if self.stroke is None else self.stroke
        if not 0 <= stroke <= self.box / 2:
            raise UsageError(f"--stroke {stroke:g}: from 0 to {self.box / 2:g}, half the box")
        return Preprocessing(box=self.box, centre=self.centre or "mass", ink=self.ink, stroke=stroke)


def preprocessing_note(images: npt.NDArray[np.uint8], preprocessing: Preprocessing | None) -> str:
    """Return a note that training images do not match the preprocessing; empty if nearly all do.

    Args:
        images: uint8 ``(N, S, S)``, of which a sample is checked.
        preprocessing: The preprocessing; None matches every layout.
    """
    if preprocessing is None or not len(images):
        return ""
    some = images[:: max(1, len(images) // _CHECKED)]
    share = float(matches_preprocessing(some, preprocessing).mean())
    if share >= _ENOUGH:
        return ""
    border = np.concatenate([some[:, [0, -1]].reshape(-1), some[:, :, [0, -1]].reshape(-1)])
    dark = bool(np.median(border) > np.iinfo(np.uint8).max / 2)
    seen = (255 - some if dark else some) >= VISIBLE
    longer = np.median(np.maximum(_extents(seen, 1), _extents(seen, 2)).astype(np.float64))
    return (
        f"only {100 * share:.0f} % of the training images match this preprocessing; their foreground objects "
        f"are {longer:.0f} pixels long (median), with {'dark' if dark else 'light'} ink"
    )


def _extents(seen: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.intp]:
    """Return how wide (axis 1) or tall (axis 2) each foreground is; 0 where there is none."""
    used = np.asarray(seen.any(axis))
    length = used.shape[1] - used.argmax(1) - used[:, ::-1].argmax(1)
    return np.where(used.any(1), length, 0)
