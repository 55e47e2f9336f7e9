"""How images from elsewhere are brought to what was trained on: by the data set, or as the user says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.preprocessing.matches import VISIBLE, matches_preprocessing
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

__all__ = ["Kind", "PreprocessingOptions", "data_name", "layout_note", "preprocessing_for"]

Kind = Literal["centred-foreground", "plain"]

_MNIST_SIZE: Final = 28
_MNIST_BOX: Final = 20
_MNIST_STROKE: Final = 2.0
"""One stroke in five of MNIST is thinner, few by much."""
_LIKE_MNIST: Final = ("mnist", "qmnist")
"""Data sets whose images were made so: a box of 20 pixels, the centre of mass in the middle of 28."""
_LOOKED_AT: Final = 2_000
_ENOUGH: Final = 0.9
"""Of the training images that should be laid out by the preprocessing, or else the user is told."""


def data_name(training: dict[str, Any]) -> str | None:
    """Return the name of the data set in a bundle's training record, which may be of anybody's making."""
    data = training.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def preprocessing_for(data: str | None, image: ImageSpec) -> Preprocessing | None:
    """Return the preprocessing of a data set's images at the size they were trained on, or None.

    Args:
        data: Name of the data set.
        image: What the graphs take.
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
    """What a user says of the images that were trained on; the options of ``export``, by their names."""

    preprocessing: Kind
    """``"plain"``: images are padded and resized only, whatever the data set is."""
    box: int | None = None
    ink: Literal["light", "dark"] | None = None
    centre: Literal["mass", "box"] | None = None
    stroke: float | None = None

    def resolve(self, image: ImageSpec) -> Preprocessing | None:
        """Return the preprocessing for images of this size.

        Raises:
            UsageError: A value is missing, not possible for these images, or means nothing here.
        """
        if self.preprocessing == "plain":
            if (self.box, self.ink, self.centre, self.stroke) != (None, None, None, None):
                raise UsageError("--preprocessing plain takes no --box, --ink, --centre or --stroke")
            return None
        if self.box is None or self.ink is None:
            raise UsageError(
                "--preprocessing centred-foreground needs --box PIXELS and --ink light or dark: "
                "how long the figures trained on are, and whether they are lighter than their ground"
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


def layout_note(images: npt.NDArray[np.uint8], preprocessing: Preprocessing | None) -> str:
    """Say where training images are not what the preprocessing makes of others; nothing where nearly all are.

    Args:
        images: uint8 ``(N, S, S)``, of which some are looked at.
        preprocessing: The preprocessing; None is any layout.
    """
    if preprocessing is None or not len(images):
        return ""
    some = images[:: max(1, len(images) // _LOOKED_AT)]
    share = float(matches_preprocessing(some, preprocessing).mean())
    if share >= _ENOUGH:
        return ""
    border = np.concatenate([some[:, [0, -1]].reshape(-1), some[:, :, [0, -1]].reshape(-1)])
    dark = bool(np.median(border) > np.iinfo(np.uint8).max / 2)
    seen = (255 - some if dark else some) >= VISIBLE
    longer = np.median(np.maximum(_extents(seen, 1), _extents(seen, 2)).astype(np.float64))
    return (
        f"{100 * share:.0f} % of the training images are laid out by this preprocessing; at the median their "
        f"figures are {longer:.0f} pixels long, with {'dark' if dark else 'light'} ink"
    )


def _extents(seen: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.intp]:
    """Return how wide (axis 1) or tall (axis 2) each figure is; 0 where there is none."""
    used = np.asarray(seen.any(axis))
    length = used.shape[1] - used.argmax(1) - used[:, ::-1].argmax(1)
    return np.where(used.any(1), length, 0)
