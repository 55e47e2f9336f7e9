"""An image of a digit as strokes of a pen: its skeleton, followed from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt
    from playwright.sync_api import Page

Point = tuple[float, float]
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DIGITS = {str(number): EXAMPLES / f"{name}.png" for number, name in enumerate(NAMES)}
"""An image of each digit."""


def strokes(path: Path, size: int) -> list[list[Point]]:
    """Return strokes in a square of ``size`` pixels that retrace the digit in an image."""
    large = Image.open(path).convert("L").resize((112, 112), Image.Resampling.BICUBIC)
    skeleton = _thinned(np.asarray(large) > 110)
    scale = size / 112
    return [[((x + 0.5) * scale, (y + 0.5) * scale) for y, x in line] for line in _lines(skeleton)]


def draw(page: Page, path: Path) -> None:
    """Retrace a digit on the canvas with the pointer."""
    page.click("#clear")
    box = page.locator("#canvas").bounding_box()
    assert box
    for line in strokes(path, round(box["width"])):
        points = [(box["x"] + x, box["y"] + y) for x, y in line]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1::2]:
            page.mouse.move(*point)
        page.mouse.move(*points[-1])
        page.mouse.up()


def _thinned(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Thin a mask to lines of one pixel, by Zhang and Suen."""
    mask = np.pad(mask, 1)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            around = [
                np.roll(mask, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            north, _, east, _, south, _, west, _ = around
            count = sum(one.astype(int) for one in around)
            steps = sum((~a & b).astype(int) for a, b in zip(around, [*around[1:], around[0]], strict=True))
            open_side = ~(north & east & south) & ~(east & south & west)
            if not first:
                open_side = ~(north & east & west) & ~(north & south & west)
            gone = mask & (count >= 2) & (count <= 6) & (steps == 1) & open_side
            mask = mask & ~gone
            changed |= bool(gone.any())
    return mask[1:-1, 1:-1]


def _lines(skeleton: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Follow the lines of a skeleton, each from an end where it has one, straight on where it can."""
    left = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    lines = []
    while left:
        start = min(left, key=lambda one: (len(_beside(one, left)) != 1, one))
        line, direction = [start], (0.0, 0.0)
        left.discard(start)
        while steps := _beside(line[-1], left):
            y, x = line[-1]
            chosen = max(steps, key=lambda one: (one[0] - y) * direction[0] + (one[1] - x) * direction[1])
            back = line[max(0, len(line) - 6)]
            direction = (chosen[0] - back[0], chosen[1] - back[1])
            # What lies beside the step is part of the same line.
            left -= {one for one in steps if max(abs(one[0] - chosen[0]), abs(one[1] - chosen[1])) <= 1}
            left.discard(chosen)
            line.append(chosen)
        if len(line) > 6:
            lines.append(line)
    return lines


def _beside(place: tuple[int, int], among: set[tuple[int, int]]) -> list[tuple[int, int]]:
    y, x = place
    return [
        (y + down, x + right)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down or right) and (y + down, x + right) in among
    ]
