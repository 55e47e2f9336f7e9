"""dSprites, rendered: 737,280 binary images of 64 x 64 with five known factors.

L. Matthey, I. Higgins, D. Hassabis, A. Lerchner: *dSprites: Disentanglement testing Sprites dataset*, 2017.
The order of the images is the original one: image i has the factors
``numpy.unravel_index(i, (3, 6, 40, 32, 32))``. The geometry was fitted to 320 of the published images, in
which it gets 22 of 77,010 object pixels wrong (tests/train/data/test_dsprites.py).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import torch

from infogan_tool.train.data.computed import ComputedImages
from infogan_tool.train.data.factors import all_combinations, unravel
from infogan_tool.train.data.imageset import ImageSet

SHAPES: Final = ("square", "ellipse", "heart")
SCALES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ORIENTATIONS: Final = 40
POSITIONS: Final = 32
SIZE: Final = 64

_HALF_SIDE: Final = 9.6
_HALF_AXES: Final = 12.766, 7.214
# fmt: off
_HEART: Final = (
    5.14, 6.04, 6.94, 7.66, 8.30, 8.87, 9.40, 9.80, 10.18, 10.46, 10.71, 10.90, 11.06, 11.15, 11.24, 11.33,
    11.26, 11.19, 11.13, 11.02, 10.88, 10.71, 10.48, 10.24, 10.00, 9.70, 9.41, 9.09, 8.77, 8.44, 8.13, 7.83,
    7.55, 7.29, 7.08, 6.88, 6.68, 6.53, 6.38, 6.27, 6.16, 6.06, 6.01, 5.96, 5.92, 5.90, 5.89, 5.92, 5.95,
    6.01, 6.07, 6.18, 6.32, 6.39, 6.61, 6.83, 7.13, 7.47, 7.89, 8.51, 9.61,
)
# fmt: on
"""Radius of the heart at scale 1, every 3 degrees from its notch (-90) to its tip (90), both halves alike."""
_WINDOW: Final = 30
"""Side of the square around a centre that holds every sprite."""


def load_dsprites(*, size: int | None = None, channels: int | None = None) -> ImageSet:
    """Return dSprites with its factors, the shape as label; nothing is stored.

    Args:
        size: Height and width; None: 64. Resized with antialiasing, so that the images are grey.
        channels: 1 or 3; None: 1.
    """
    angles = tuple(2 * math.pi * k / (ORIENTATIONS - 1) for k in range(ORIENTATIONS))
    places = tuple(k / (POSITIONS - 1) for k in range(POSITIONS))
    factors = all_combinations(
        {"shape": SHAPES, "scale": SCALES, "orientation": angles, "x": places, "y": places}
    )
    shape = (len(factors.values), 1, SIZE, SIZE)
    return ImageSet(
        images=ComputedImages(shape, render_dsprites, size=size, channels=channels),
        labels=factors.values[:, 0].contiguous(),
        label_names=SHAPES,
        factors=factors,
        name="dsprites",
    )


def render_dsprites(index: torch.Tensor) -> torch.Tensor:
    """Return the images of an index ``(n,)`` int64 on its device: uint8 ``(n, 1, 64, 64)``, 0 or 255.

    A pixel is on where its centre lies inside the shape.
    """
    scales, cosines, sines, radii = _tables(index.device)
    sizes = len(SHAPES), len(SCALES), ORIENTATIONS, POSITIONS, POSITIONS
    shape, scale, turn, column, row = unravel(index, sizes)
    # Whole and fractional parts of the centre, 16 to 48 pixels from the left and from the top.
    left, top = (16 + SIZE * part // (2 * (POSITIONS - 1)) - _WINDOW // 2 + 1 for part in (column, row))
    pixels = torch.arange(_WINDOW, device=index.device)
    columns, rows = left[:, None] + pixels, top[:, None] + pixels
    x = (columns - 15.5 - column[:, None] * (32 / (POSITIONS - 1)))[:, None, :]
    y = (rows - 15.5 - row[:, None] * (32 / (POSITIONS - 1)))[:, :, None]
    # Into the sprite's own axes, at scale 1. The published images turn against the clock.
    cosine, sine = ((part[turn] / scales[scale])[:, None, None] for part in (cosines, sines))
    u, v = (cosine * x - sine * y).abs(), sine * x + cosine * y
    place = ((torch.atan2(v, u) * (180 / math.pi) + 90) / 3).clamp(0, len(_HEART) - 1)
    before = place.long().clamp_max(len(_HEART) - 2)
    radius = torch.lerp(radii[before], radii[before + 1], place - before)
    kind = shape[:, None, None]
    inside = torch.where(
        kind == 0,
        torch.maximum(u, v.abs()) <= _HALF_SIDE,
        torch.where(
            kind == 1,
            (u / _HALF_AXES[0]).square() + (v / _HALF_AXES[1]).square() <= 1,
            u.square() + v.square() <= radius.square(),
        ),
    )
    images = torch.zeros(len(index), SIZE * SIZE, dtype=torch.uint8, device=index.device)
    targets = rows[:, :, None] * SIZE + columns[:, None, :]
    images.scatter_(1, targets.flatten(1), inside.flatten(1).to(torch.uint8) * 255)
    return images.view(-1, 1, SIZE, SIZE)


@cache
def _tables(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return scales, cosines and sines of the orientations, and the heart's radii."""
    angles = torch.arange(ORIENTATIONS, dtype=torch.float64) * (2 * math.pi / (ORIENTATIONS - 1))
    tables = torch.tensor(SCALES), angles.cos(), angles.sin(), torch.tensor(_HEART)
    return tuple(table.to(device, torch.float32) for table in tables)
