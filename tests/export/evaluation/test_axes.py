"""Angles between continuous codes and independent effects, on functions and on a bundle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.export.evaluation.axes import (
    AxesTable,
    PairAxes,
    derivatives,
    measure_axes,
    rotation_of_axes,
)
from infogan_tool.export.limitations import describe_axes
from infogan_tool.runtime.bundle.bundle import load_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = np.random.default_rng(0).uniform(-0.75, 0.75, (60, 2))
BASES = np.random.default_rng(1).standard_normal((4, 30))


def rotated_images(degrees: float, moves: NDArray[np.float64]) -> NDArray[np.float32]:
    """Two independent effects of different curvature, by codes that are rotated against them."""
    turn = math.radians(degrees)
    x, y = (POINTS + moves).T
    u, v = math.cos(turn) * x + math.sin(turn) * y, -math.sin(turn) * x + math.cos(turn) * y
    return (np.stack([u, u * u, v, v**3], axis=1) @ BASES).astype(np.float32)


@pytest.mark.parametrize("degrees", [-40, -17, 0, 8, 30, 44])
def test_rotation_is_found(degrees: float) -> None:
    _, second = derivatives(lambda moves: rotated_images(degrees, moves), 2)
    angle, contrast = rotation_of_axes(second[0, 0], second[1, 1], second[0, 1])
    assert angle == pytest.approx(degrees, abs=0.5)
    assert contrast > 100


def test_derivatives_of_a_polynomial() -> None:
    points = np.random.default_rng(2).uniform(-1, 1, (20, 3))

    def at(moves: NDArray[np.float64]) -> NDArray[np.float32]:
        x, y, z = (points + moves).T
        return np.stack([x * y + 2 * z, x * x - y * z], axis=1).astype(np.float32)

    first, second = derivatives(at, 3)
    x, y, _ = points.T
    one = np.ones(20)
    np.testing.assert_allclose(first[0], np.stack([y, 2 * x], axis=1), atol=1e-5)
    np.testing.assert_allclose(first[2], np.stack([2 * one, -y], axis=1), atol=1e-5)
    np.testing.assert_allclose(second[0, 0], np.stack([0 * one, 2 * one], axis=1), atol=1e-4)
    np.testing.assert_allclose(second[0, 1], np.stack([one, 0 * one], axis=1), atol=1e-4)
    np.testing.assert_allclose(second[1, 2], np.stack([0 * one, -one], axis=1), atol=1e-4)


def test_functions_without_curvature_have_no_angle() -> None:
    zero = np.zeros((5, 4))
    assert rotation_of_axes(zero, zero, zero) == (0.0, 1.0)
    rng = np.random.default_rng(3)
    half, mixed = rng.standard_normal((2, 4000, 50))
    _, contrast = rotation_of_axes(-half, half, mixed)  # the same at every angle
    assert contrast < 1.1


def test_pretrained_bundle() -> None:
    axes = measure_axes(load_bundle(), seed=1)
    assert list(axes.effects) == ["c1", "c2"]
    assert max(axes.effects.values()) == 1
    assert axes.dead == []
    (pair,) = axes.pairs
    assert pair.codes == ("c1", "c2")
    assert pair.contrast > 1.5
    assert axes.misalignment == abs(pair.angle or 0) < 10
    assert axes.mixed == []
    assert describe_axes(axes) == []


def test_dead_and_mixed_codes_are_described() -> None:
    table = AxesTable(
        latents=10,
        effects={"c1": 1.0, "c2": 0.8, "c3": 0.03},
        pairs=(
            PairAxes(codes=("c1", "c2"), angle=-42.3, contrast=3.0),
            PairAxes(codes=("c1", "c3"), angle=44.0, contrast=3.0),
            PairAxes(codes=("c2", "c3"), angle=None, contrast=1.1),
        ),
    )
    assert table.dead == ["c3"]
    assert table.misalignment == 42.3
    assert describe_axes(table) == [
        "c3 is dead: it hardly changes the image.",
        "c1 and c2 are mixed: the axes of independent effects are rotated by 42 degrees.",
    ]
    assert table.to_card()["pairs"][2] == {"codes": ["c2", "c3"], "angle": None, "contrast": 1.1}
