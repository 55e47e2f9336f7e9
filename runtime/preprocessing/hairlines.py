"""Add the hairlines of an object: strokes that blur has made too faint for the threshold.

The strokes of a nib differ in width, and blur makes a thin one a fraction as dark as a thick one. A stroke
that is connected to the object and stands out from the noise is added, and its ink is strengthened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.preprocessing.background import WEAK
from infogan_tool.runtime.preprocessing.components import label_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.background import Ink

    Grey = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

_LEVEL: Final = 0.6
"""Strength that the middle of a hairline gets."""
_MOST: Final = 4.0
"""Greatest factor of its strength."""
_REACH: Final = 0.08
"""Distance within which thicker strokes are looked for, as a share of the object's longer side."""
_LONGEST: Final = 1.5
"""Greatest longer side of the object with its hairlines, relative to without: a ruled line is no hairline."""
_LARGEST: Final = 2.0
"""Greatest area of the hairlines, relative to the object's."""


def add_hairlines(ink: Ink, mask: Mask) -> tuple[Grey, Mask]:
    """Return the strength of the ink ``(H, W)`` from 0 to 1, and the object's mask, both with its hairlines.

    Args:
        ink: Of the whole image.
        mask: The object ``(H, W)``.
    """
    strength = np.clip(ink.strength, 0, 1)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    limit = _LONGEST * longer + 2
    # What leaves this window is too long.
    margin = int(limit) + 1
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    window = (slice(top, rows[-1] + margin + 1), slice(left, columns[-1] + margin + 1))
    own, near = mask[window], strength[window]
    labels, count = label_components(ink.faint[window])
    chosen = np.zeros(count + 1, bool)
    chosen[labels[own]] = True
    chosen[0] = False
    region = chosen[labels]
    if max(np.ptp(places) + 1 for places in np.nonzero(region)) > limit:
        return strength, mask
    # Beside a thick stroke, faint ink is its blurred edge.
    beside = _local_maximum(np.where(region, near, np.float32(0)), max(1, round(_REACH * longer)))
    factor = np.clip(np.float32(_LEVEL) / np.maximum(beside, np.float32(1e-3)), 1, np.float32(_MOST))
    raised = near * factor
    added = region & ~own & (raised > np.float32(WEAK))
    if not 0 < np.count_nonzero(added) <= _LARGEST * np.count_nonzero(own):
        return strength, mask
    strength[window] = np.where(own, near, raised)
    joined = mask.copy()
    joined[window] |= added
    return strength, joined


def _local_maximum(values: Grey, reach: int) -> Grey:
    """Return the greatest value in the square around each pixel, of ``2 * reach + 1`` pixels."""
    for _ in range(2):
        found, width = np.pad(values, ((reach, reach), (0, 0))), 1
        while width < 2 * reach + 1:
            step = min(width, 2 * reach + 1 - width)
            found, width = np.maximum(found[:-step], found[step:]), width + step
        values = found.T
    return values
