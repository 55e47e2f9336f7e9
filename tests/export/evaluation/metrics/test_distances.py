"""Distances of feature sets: one distribution, another one, and a single point."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from infogan_tool.export.evaluation.metrics.coverage import density_and_coverage
from infogan_tool.export.evaluation.metrics.distances import frechet_distance, kernel_distance

RNG = np.random.default_rng(0)
WIDE = RNG.standard_normal((12, 12)) / 3
REAL = (RNG.standard_normal((1500, 12)) @ WIDE).astype(np.float32)
SAME = (RNG.standard_normal((1500, 12)) @ WIDE).astype(np.float32)
FAR = SAME + np.float32(5)
POINT = np.repeat(REAL[:1], 1500, axis=0)


def test_a_set_and_itself() -> None:
    assert frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-6)
    density, coverage = density_and_coverage(REAL, REAL)
    assert density == pytest.approx(1, abs=0.3)
    assert coverage == 1


def test_two_sets_of_one_distribution() -> None:
    assert frechet_distance(REAL, SAME) < 0.1
    assert abs(kernel_distance(REAL, SAME)) < 0.05
    density, coverage = density_and_coverage(REAL, SAME)
    assert density == pytest.approx(1, abs=0.1)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.03)


def test_another_place() -> None:
    assert frechet_distance(REAL, FAR) == pytest.approx(12 * 25, rel=0.05)
    assert kernel_distance(REAL, FAR) > 100
    assert density_and_coverage(REAL, FAR) == (0, 0)


def test_collapse_to_one_real_image() -> None:
    assert frechet_distance(REAL, POINT) > 1
    assert kernel_distance(REAL, POINT) > 0.05
    _, coverage = density_and_coverage(REAL, POINT)
    assert coverage < 0.05


def test_nothing_varies() -> None:
    assert frechet_distance(POINT, POINT) == 0
    assert kernel_distance(POINT, POINT) == pytest.approx(0, abs=1e-4)
    assert density_and_coverage(POINT, POINT) == (0, 0)  # balls without extent


def test_one_dimension() -> None:
    assert frechet_distance(REAL[:, :1], FAR[:, :1]) == pytest.approx(25, rel=0.05)


def test_frechet_is_that_of_the_formula() -> None:
    cov_a, cov_b = np.cov(REAL.T.astype(float)), np.cov(FAR.T.astype(float))
    means = np.square(REAL.mean(0, dtype=float) - FAR.mean(0, dtype=float)).sum()
    expected = means + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(REAL, FAR) == pytest.approx(expected, rel=1e-6)


def test_kernel_is_that_of_the_formula() -> None:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(float) @ b.T.astype(float) / 12 + 1) ** 3

    a, b = REAL[:1100], SAME[:300]
    inside = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    assert kernel_distance(a, b) == pytest.approx(sum(inside) - 2 * kernel(a, b).mean(), abs=1e-9)


def test_density_and_coverage_are_those_of_the_formula() -> None:
    real, fake = REAL[:60].astype(float), SAME[:40].astype(float)
    within = np.linalg.norm(real[:, None] - real[None], axis=2)
    radius = np.sort(within, axis=1)[:, 3]  # the nearest is the image itself
    inside = np.linalg.norm(real[:, None] - fake[None], axis=2) < radius[:, None]
    found = density_and_coverage(real, fake, neighbours=3)
    assert found == pytest.approx((inside.sum() / (3 * 40), inside.any(axis=1).mean()))
