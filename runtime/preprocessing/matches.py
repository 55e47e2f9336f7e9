"""Whether an image is already as its bundle's preprocessing would make it; asked of every image there is.

In a bulk run nearly all are, so this costs a few microseconds and spares the rest.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import Preprocessing

__all__ = ["BRIGHT", "SEEN", "SLACK", "matches_preprocessing", "moments"]

SEEN: Final = 32
"""Fainter than this, of 255, is no part of an image's layout."""
BRIGHT: Final = 200
SLACK: Final = 1.0


def matches_preprocessing(values: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> bool:
    """Say whether a grey image ``(S, S)`` is already what the preprocessing makes: then it is left alone.

    The ground is black, the figure bright and as long as the box, its centre in the middle, all to a pixel.
    Every image of MNIST is so.
    """
    if preprocessing.ink == "dark":
        values = 255 - values
    size = len(values)
    # A view that says of each row and column how bright it gets; argmax finds the first that is seen.
    rows, columns = values.max(1) >= SEEN, values.max(0) >= SEEN
    top, left = int(rows.argmax()), int(columns.argmax())
    tall, wide = size - int(rows[::-1].argmax()) - top, size - int(columns[::-1].argmax()) - left
    if not preprocessing.box - 2 * SLACK <= max(tall, wide) <= preprocessing.box + SLACK:
        return False
    if preprocessing.centre == "box":
        down, right = top + tall / 2, left + wide / 2
    else:
        mass, down, right = (values.reshape(1, -1).astype(np.float32) @ moments(size))[0].tolist()
        if not mass:
            return False
        down, right = down / mass, right / mass
    middle = size / 2
    centred = abs(down - middle) <= SLACK and abs(right - middle) <= SLACK
    return bool(centred and values.max() >= BRIGHT)


@lru_cache(maxsize=4)
def moments(size: int) -> npt.NDArray[np.float32]:
    """Return what each pixel adds to mass and to the moments of rows and columns: ``(size * size, 3)``."""
    rows, columns = np.indices((size, size), np.float32)
    return np.stack([np.ones_like(rows), rows, columns], axis=-1).reshape(-1, 3)
