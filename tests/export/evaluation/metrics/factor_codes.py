"""Codes of known quality for a small grid of factors."""

from __future__ import annotations

import numpy as np

SIZES = (3, 6, 8, 8)
ORDERED = (False, True, True, True)


def factors() -> np.ndarray:
    """Return the levels of 6,912 images ``(N, 4)``: every combination, six times, in random order."""
    grid = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)
    return np.random.default_rng(0).permutation(np.repeat(grid, 6, axis=0))


def codes(kind: str, levels: np.ndarray, *, noise: float = 0.01, seed: int = 1) -> list[np.ndarray]:
    """Return a categorical code for the first factor and continuous ones for the others.

    ``perfect``: one code for each factor. ``duplicated``: each continuous code twice. ``rotated``: the
    continuous codes are mixed by a rotation. ``useless``: noise. ``dead``: a constant code besides.
    """
    rng = np.random.default_rng(seed)
    if kind == "useless":
        probabilities = rng.dirichlet(np.ones(3), len(levels))
        return [probabilities, *rng.uniform(-1, 1, (3, len(levels)))]
    category = 0.98 * np.eye(3)[levels[:, 0]] + 0.01
    styles = levels[:, 1:] / (np.array(SIZES[1:]) - 1) * 2 - 1
    styles = styles + noise * rng.standard_normal(styles.shape)
    if kind == "rotated":
        styles = styles @ np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    copies = 2 if kind == "duplicated" else 1
    dead = [np.full(len(levels), 0.25)] if kind == "dead" else []
    return [category, *styles.T, *(styles.T if copies == 2 else ()), *dead]


def continuous_codes(kind: str, levels: np.ndarray, *, noise: float = 0.01, seed: int = 1) -> np.ndarray:
    """Return the same as continuous codes ``(N, d)``: of the categorical one, the first probability."""
    some = codes(kind, levels, noise=noise, seed=seed)
    return np.column_stack([code if code.ndim == 1 else code[:, 0] for code in some])
