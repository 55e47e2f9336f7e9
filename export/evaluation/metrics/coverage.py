"""Density and coverage of generated images in the neighbourhoods of real images.

Naeem, Oh, Uh, Choi, Yoo, *Reliable Fidelity and Diversity Metrics for Generative Models*, arXiv:2002.09797,
equations 3 and 4. Every real image has a ball that reaches to its k-th nearest other real image. Density
is the mean number of balls that a generated image lies in, divided by k; coverage is the share of balls
with a generated image in them. An outlier among the real images, whose ball is wide, counts at most once
in coverage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEIGHBOURS: Final = 5
"""k, the paper's choice."""
_ROWS: Final = 1000


def density_and_coverage(
    real: NDArray[np.floating], fake: NDArray[np.floating], neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Return density (at least 0; about 1 for two sets of one distribution) and coverage (0 to 1).

    Coverage depends on the sizes: for two sets of one distribution and size it is near 1 - 2^-k.

    Args:
        real: Features ``(N, d)``; N is greater than ``neighbours``.
        fake: Features ``(M, d)`` of generated images, M at least 1.
        neighbours: k.
    """
    finder = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(real)
    # Without an argument the query is the fitted set, and no vector is its own neighbour.
    radius = finder.kneighbors()[0][:, -1]
    inside, covered = 0, 0
    for start in range(0, len(real), _ROWS):
        rows = slice(start, start + _ROWS)
        within = pairwise_distances(real[rows], fake) < radius[rows, None]
        inside += int(within.sum())
        covered += int(within.any(axis=1).sum())
    return inside / (neighbours * len(fake)), covered / len(real)
