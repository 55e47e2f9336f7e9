"""The one figure of an image, cut out: its main component with the parts that belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.preprocessing.components import label_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.background import Ink

    Grey = npt.NDArray[np.float32]

__all__ = ["cut_out"]

_LEAST_SIDE: Final = 0.02
_LEAST_PIXELS: Final = 4
_LEAST_SHARE: Final = 0.5
"""Part of all ink that the figure has at least."""
_MOST_UNEVEN: Final = 0.2
"""Root of the mean square of what is not figure, as a part of the ink's strength."""
_MOST_OPPOSITE: Final = 0.05
"""Part of what is not figure that differs from the paper as much as weak ink does, to the other side."""
_RIVAL: Final = 0.25
"""Part of the main component's mass from which another is no stray mark: then the figure is both."""


def cut_out(ink: Ink) -> Grey | None:
    """Return the figure ``(h, w)``, from 0 (ground) to 1 (ink), cut to its bounding box.

    None where the image is not one of a figure on a ground: nothing hangs together, most of what stands out
    is not part of the figure, or the rest is not even. A photograph of a cat is such an image.
    """
    labels, count = label_components(ink.mask)
    if not count:
        return None
    boxes, mass, sure = _measure(labels, count, ink)
    ruled = _are_lines(boxes, ink.mask.shape)
    kept = _belonging(boxes, mass, sure, ruled, ink.mask.shape)
    if not kept.any():
        return None
    mask = np.concatenate([[False], kept])[labels]
    beside = ~_grown(_grown(np.concatenate([[False], kept | ruled])[labels]))
    stray = mass[~kept & ~ruled].sum()
    if mass[kept].sum() < _LEAST_SHARE / (1 - _LEAST_SHARE) * stray or not _even(ink.strength[beside]):
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return _soft(ink.strength[place], mask[place])


def _measure(
    labels: npt.NDArray[np.int32], count: int, ink: Ink
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return of each component its box (top, bottom, left, right; ends included), mass, and if it is sure."""
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
    sure = np.bincount(which, ink.strong[rows, columns], count) > 0
    return boxes, mass, sure


def _are_lines(boxes: npt.NDArray[np.intp], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Say which components are lines that paper is ruled with: all across it, or long, thin and level."""
    sides = np.stack([boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1])
    across: npt.NDArray[np.bool_] = np.zeros(len(boxes), bool)
    for along in (0, 1):
        length, width = sides[along], sides[1 - along]
        across |= (length > 0.8 * shape[along]) & (width < 0.1 * shape[1 - along])
        across |= (length > 8 * width) & (width < 0.03 * shape[1 - along])
    return across


def _belonging(
    boxes: npt.NDArray[np.intp],
    mass: npt.NDArray[np.float64],
    sure: npt.NDArray[np.bool_],
    ruled: npt.NDArray[np.bool_],
    shape: tuple[int, int],
) -> npt.NDArray[np.bool_]:
    height, width = shape
    tall, wide = boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1
    longer = np.maximum(tall, wide)
    possible: npt.NDArray[np.bool_] = sure & (longer >= max(_LEAST_PIXELS, _LEAST_SIDE * max(shape)))
    if not possible.any():
        return possible
    at_edge = (
        (boxes[:, 0] == 0) | (boxes[:, 1] == height - 1) | (boxes[:, 2] == 0) | (boxes[:, 3] == width - 1)
    )
    off = np.hypot((boxes[:, 0] + boxes[:, 1] + 1) / height - 1, (boxes[:, 2] + boxes[:, 3] + 1) / width - 1)
    score = mass * (1 - 0.5 * np.minimum(off, 1)) * np.where(at_edge | ruled, 0.1, 1.0) * possible
    main = int(score.argmax())
    kept = np.zeros(len(boxes), bool)
    kept[main] = True
    if at_edge[main]:
        at_edge[:] = False  # a figure that fills the image may touch its edge with every part
    part = sure & ~at_edge & ~(ruled & ~kept) & (mass > 0.02 * mass[main]) & (longer > 0.08 * longer[main])
    gap = 0.15 * longer[main]
    frame = boxes[main].copy()
    while True:
        away = np.maximum(
            np.maximum(frame[0] - boxes[:, 1], boxes[:, 0] - frame[1]),
            np.maximum(frame[2] - boxes[:, 3], boxes[:, 2] - frame[3]),
        )
        more = part & ~kept & ((away <= gap) | (mass > _RIVAL * mass[main]))
        if not more.any():
            return kept
        kept |= more
        mine = boxes[kept]
        frame = np.array([mine[:, 0].min(), mine[:, 1].max(), mine[:, 2].min(), mine[:, 3].max()])


def _even(rest: Grey) -> bool:
    """Say whether what is not figure is an even ground; ``rest`` is its strength, where 1 is that of ink."""
    if not rest.size:
        return True  # an image of few pixels, all of them in or near the figure
    bounded = np.clip(rest, -2, 2)
    return bool(np.sqrt(np.mean(bounded**2)) < _MOST_UNEVEN and np.mean(rest < -0.35) < _MOST_OPPOSITE)  # noqa: PLR2004


def _soft(strength: Grey, mask: npt.NDArray[np.bool_]) -> Grey:
    """Return ink from 0 to 1, and nothing where it is not the figure's."""
    near = _grown(mask)
    return np.where(near, np.clip(strength, 0, 1), 0).astype(np.float32)


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    across = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    return across[:-2] | across[1:-1] | across[2:]
