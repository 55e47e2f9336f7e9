"""Synthetic outliers drawn with a pen: random strokes that touch and mirror each other, as in many scripts.

They show the outlier classifier shapes that no part of a training image has. They are for bundles whose
images show one object on an even background; :mod:`.synthetic_outliers` makes those of any bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_STROKES: Final = 4
"""Most strokes of a drawing."""
_POINTS: Final = 40
"""Points of a stroke."""
_JITTER: Final = 0.12
"""Greatest distance of a stroke's end from a node of the grid (-1, 0, 1) x (-1, 0, 1), in each direction."""
_SHORTEST: Final = 0.6
"""Least length of a line."""
_ARCS: Final = 0.35
"""Share of strokes that are arcs of ellipses; the others are lines."""
_SWEEPS: Final = -1.0, -0.5, 0.5, 1.0, 1.0, 1.5, 2.0
"""Lengths of an arc, in half turns."""
_ATTACHED: Final = 0.6
"""Share of strokes that begin on the one before."""
_MIRRORED: Final = 0.4, 0.2
"""Shares of drawings of one or two strokes and their mirror images: left and right, above and below."""
_SLANT: Final = 0.15
_NARROWEST: Final = 0.5
_EXTENT: Final = 0.7
"""Longer side of a drawing, as a share of the image."""
_RADIUS: Final = 0.025, 0.068
"""Half of a stroke's width, as a share of the image."""
_CHUNK: Final = 8


def make_drawings(count: int, size: int, rng: torch.Generator) -> Tensor:
    """Return drawings of two to four strokes ``(count, 1, size, size)``, 0 (background) to 1."""
    strokes, drawn = _arrange(_random_strokes(count, rng), rng)
    # Points of strokes that are not drawn repeat a point of the first.
    points = torch.where(drawn[:, :, None, None], strokes, strokes[:, :1, :1]).flatten(1, 2)
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    longer = (high - low).amax(2, keepdim=True).clamp(min=0.2)
    points = size * (0.5 + _EXTENT * (points - (low + high) / 2) / longer) - 0.5
    radius = size * (_RADIUS[0] + (_RADIUS[1] - _RADIUS[0]) * torch.rand(count, generator=rng))
    pixels = torch.arange(size, dtype=torch.float32)
    images = torch.empty(count, 1, size, size)
    for start in range(0, count, _CHUNK):
        rows = slice(start, start + _CHUNK)
        across, down = ((points[rows, :, axis, None] - pixels).square() for axis in (0, 1))
        nearest = (down[..., :, None] + across[..., None, :]).amin(1).sqrt()
        images[rows, 0] = (radius[rows, None, None] - nearest + 0.5).clamp(0, 1)
    return images


def _random_strokes(count: int, rng: torch.Generator) -> Tensor:
    """Return the points of four strokes of each drawing ``(count, 4, P, 2)``, about from -1 to 1."""
    along = torch.linspace(0, 1, _POINTS)[:, None]
    strokes = torch.zeros(count, _STROKES, _POINTS, 2)
    for place in range(_STROKES):
        first, last = (_near((-1.0, 0.0, 1.0), _JITTER, (count, 1, 2), rng) for _ in range(2))
        # Many lines are upright or level.
        kept = torch.randint(4, (count, 1, 1), generator=rng) == torch.arange(2)
        last = torch.where(kept, first + _near((0.0,), 0.1, (count, 1, 2), rng), last)
        is_short = (last - first).norm(dim=2, keepdim=True) < _SHORTEST
        last = torch.where(is_short, torch.cat([first[..., :1], -first[..., 1:].sign()], dim=2), last)
        turn = _near((0.0, 0.5, 1.0, 1.5), 0.1, (count, 1, 1), rng)
        angle = torch.pi * (turn + _near(_SWEEPS, 0.15, (count, 1, 1), rng) * along)
        centre = _near((-0.5, 0.0, 0.5), _JITTER, (count, 1, 2), rng)
        radii = _near((0.675,), 0.325, (count, 1, 2), rng)
        arc = centre + radii * torch.cat([angle.cos(), angle.sin()], dim=2)
        is_arc = torch.rand(count, 1, 1, generator=rng) < _ARCS
        stroke = torch.where(is_arc, arc, first + (last - first) * along)
        if place:
            point = torch.randint(_POINTS, (count,), generator=rng)
            end = torch.where(torch.rand(count, generator=rng) < 0.5, _POINTS - 1, 0)  # noqa: PLR2004
            point = torch.where(torch.rand(count, generator=rng) < 0.5, point, end)  # noqa: PLR2004
            there = strokes[torch.arange(count), place - 1, point][:, None]
            is_attached = torch.rand(count, 1, 1, generator=rng) < _ATTACHED
            stroke = torch.where(is_attached, stroke + there - stroke[:, :1], stroke)
        strokes[:, place] = stroke
    return strokes


def _arrange(strokes: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror strokes in some drawings, slant and narrow all; return also which are drawn ``(count, 4)``."""
    count, half = len(strokes), _STROKES // 2
    kind = torch.rand(count, 1, 1, 1, generator=rng)
    is_mirrored = kind < sum(_MIRRORED)
    sides = torch.where(kind < _MIRRORED[0], torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0]))
    others = torch.where(is_mirrored, strokes[:, :half] * sides, strokes[:, half:])
    strokes = torch.cat([strokes[:, :half], others], dim=1)
    places = torch.arange(_STROKES)
    singly = places < torch.randint(2, _STROKES + 1, (count, 1), generator=rng)
    in_pairs = places % half < torch.randint(1, half + 1, (count, 1), generator=rng)
    drawn = torch.where(is_mirrored[:, :, 0, 0], in_pairs, singly)
    across, down = strokes.unbind(3)
    across = across + _near((0.0,), _SLANT, (count, 1, 1), rng) * down
    narrow = _NARROWEST + (1 - _NARROWEST) * torch.rand(count, 1, 1, generator=rng)
    return torch.stack([narrow * across, down], dim=3), drawn


def _near(places: Sequence[float], spread: float, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Return some of ``places``, each moved at random by at most ``spread``."""
    chosen = torch.tensor(places)[torch.randint(len(places), shape, generator=rng)]
    return chosen + spread * (2 * torch.rand(shape, generator=rng) - 1)
