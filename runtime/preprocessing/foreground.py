"""Segment the foreground object of an image: its main connected component and the parts that belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.preprocessing.components import label_components
from infogan_tool.runtime.preprocessing.hairlines import add_hairlines

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.background import Ink

    Grey = npt.NDArray[np.float32]

_LEAST_SIDE: Final = 0.02
_LEAST_PIXELS: Final = 4
_LEAST_SHARE: Final = 0.5
"""Least share of all ink that belongs to the object."""
_MOST_UNEVEN: Final = 0.2
"""Greatest root mean square of the background, as a share of the ink's strength."""
_MOST_OPPOSITE: Final = 0.05
"""Greatest share of the background that differs from its estimate like weak ink of the opposite sign."""
_SEPARATE_PART: Final = 0.25
"""Share of the main component's mass from which another component belongs to the object at any distance."""


def segment_object(ink: Ink) -> Grey | None:
    """Return the object ``(h, w)``, from 0 (background) to 1 (ink), cropped to its bounding box.

    Returns None for an image that is not one object on a background: there is no component, less than half of
    the ink belongs to the object, or the background is uneven, as in a photograph of a cat.
    """
    labels, count = label_components(ink.mask)
    if not count:
        return None
    boxes, mass, strong = _measure_components(labels, count, ink)
    lines = _find_lines(boxes, ink.mask.shape)
    kept = _select_components(boxes, mass, strong, lines, ink.mask.shape)
    if not kept.any():
        return None
    mask = np.concatenate([[False], kept])[labels]
    beside = ~_dilated(_dilated(np.concatenate([[False], kept | lines])[labels]))
    stray = mass[~kept & ~lines].sum()
    if mass[kept].sum() < _LEAST_SHARE / (1 - _LEAST_SHARE) * stray or not _is_even(ink.strength[beside]):
        return None
    strength, mask = add_hairlines(ink, mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    near = _dilated(mask[box])
    return np.where(near, strength[box], 0).astype(np.float32)


def _measure_components(
    labels: npt.NDArray[np.int32], count: int, ink: Ink
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return each component's box (top, bottom, left, right; inclusive), mass, and if it has strong ink."""
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns] - 1
    boxes = np.empty((count, 4), np.intp)
    for side, values in ((0, rows), (2, columns)):
        boxes[:, side] = np.iinfo(np.intp).max
        boxes[:, side + 1] = -1
        np.minimum.at(boxes[:, side], which, values)
        np.maximum.at(boxes[:, side + 1], which, values)
    strength = np.minimum(ink.strength[rows, columns], 1.0)
    mass = np.bincount(which, strength, count).astype(np.float64)
    strong = np.bincount(which, ink.strong[rows, columns], count) > 0
    return boxes, mass, strong


def _find_lines(boxes: npt.NDArray[np.intp], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which components are ruled lines: across the whole image, or long, thin and level."""
    sides = np.stack([boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1])
    across: npt.NDArray[np.bool_] = np.zeros(len(boxes), bool)
    for along in (0, 1):
        length, width = sides[along], sides[1 - along]
        across |= (length > 0.8 * shape[along]) & (width < 0.1 * shape[1 - along])
        across |= (length > 8 * width) & (width < 0.03 * shape[1 - along])
    return across


def _select_components(
    boxes: npt.NDArray[np.intp],
    mass: npt.NDArray[np.float64],
    strong: npt.NDArray[np.bool_],
    lines: npt.NDArray[np.bool_],
    shape: tuple[int, int],
) -> npt.NDArray[np.bool_]:
    """Return which components belong to the object; none if there is no candidate."""
    height, width = shape
    tall, wide = boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1
    longer = np.maximum(tall, wide)
    possible: npt.NDArray[np.bool_] = strong & (longer >= max(_LEAST_PIXELS, _LEAST_SIDE * max(shape)))
    if not possible.any():
        return possible
    at_edge = (
        (boxes[:, 0] == 0) | (boxes[:, 1] == height - 1) | (boxes[:, 2] == 0) | (boxes[:, 3] == width - 1)
    )
    off = np.hypot((boxes[:, 0] + boxes[:, 1] + 1) / height - 1, (boxes[:, 2] + boxes[:, 3] + 1) / width - 1)
    score = mass * (1 - 0.5 * np.minimum(off, 1)) * np.where(at_edge | lines, 0.1, 1.0) * possible
    main = int(score.argmax())
    kept = np.zeros(len(boxes), bool)
    kept[main] = True
    if at_edge[main]:
        at_edge[:] = False  # every part of an object that fills the image may touch its edge
    part = strong & ~at_edge & ~(lines & ~kept) & (mass > 0.02 * mass[main]) & (longer > 0.08 * longer[main])
    gap = 0.15 * longer[main]
    frame = boxes[main].copy()
    while True:
        away = np.maximum(
            np.maximum(frame[0] - boxes[:, 1], boxes[:, 0] - frame[1]),
            np.maximum(frame[2] - boxes[:, 3], boxes[:, 2] - frame[3]),
        )
        more = part & ~kept & ((away <= gap) | (mass > _SEPARATE_PART * mass[main]))
        if not more.any():
            return kept
        kept |= more
        mine = boxes[kept]
        frame = np.array([mine[:, 0].min(), mine[:, 1].max(), mine[:, 2].min(), mine[:, 3].max()])


def _is_even(rest: Grey) -> bool:
    """Return whether the background is even; ``rest`` is its ink strength."""
    if not rest.size:
        return True  # a tiny image, all of it in or near the object
    bounded = np.clip(rest, -2, 2)
    return bool(np.sqrt(np.mean(bounded**2)) < _MOST_UNEVEN and np.mean(rest < -0.35) < _MOST_OPPOSITE)  # noqa: PLR2004


def _dilated(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the mask dilated by one pixel, diagonals included."""
    padded = np.pad(mask, 1)
    across = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    return across[:-2] | across[1:-1] | across[2:]
