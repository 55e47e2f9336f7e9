"""Strength and consistency of codes, on generators with a known answer; sharpness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.export.report.effects import alignment, measure_effects
from infogan_tool.export.report.sharpness import sharpness
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents.spec import LatentSpec

if TYPE_CHECKING:
    from infogan_tool.runtime.latents.sampling import Latents

SIZE = 8
RNG = np.random.default_rng(0)
PATTERN = RNG.standard_normal(SIZE * SIZE).astype(np.float32)
PATTERN /= np.sqrt(np.mean(PATTERN**2))
DIRECTIONS = RNG.standard_normal((4, SIZE * SIZE)).astype(np.float32)
CATEGORIES = RNG.standard_normal((3, SIZE * SIZE)).astype(np.float32)


class LinearBundle:
    """c1 adds 0.1 of a pattern, c2 nothing, c3 the pattern up or down as the noise has it; values -1 to 1."""

    latent = LatentSpec(noise=4, noise_prior="normal", categorical=(3,), continuous=3)
    image = ImageSpec(size=SIZE, channels=1, low=-1.0, high=1.0)

    def generate(self, latents: Latents) -> np.ndarray:
        styles, noise = latents.styles, latents.noise
        drawn = 0.1 * styles[:, :1] * PATTERN + 0.01 * noise @ DIRECTIONS
        drawn += 0.3 * styles[:, 2:] * np.sign(noise[:, :1]) * PATTERN
        drawn += CATEGORIES[latents.categories[:, 0]]
        return drawn.reshape(-1, 1, SIZE, SIZE).astype(np.float32)


@pytest.fixture(scope="module")
def effects():  # noqa: ANN201
    return measure_effects(LinearBundle(), LinearBundle.latent.code_names, seed=0)


def test_code_with_a_constant_effect(effects) -> None:  # noqa: ANN001
    found = effects.codes["c1"]
    # From -1 to 1 it is 0.2 of a pattern of root mean square 1, in a range of 2.
    assert found.strength == pytest.approx(0.1, rel=1e-4)
    assert found.consistency == pytest.approx(1.0, abs=1e-4)


def test_code_without_effect(effects) -> None:  # noqa: ANN001
    found = effects.codes["c2"]
    assert (found.strength, found.consistency) == (0.0, None)


def test_code_whose_effect_depends_on_the_noise(effects) -> None:  # noqa: ANN001
    found = effects.codes["c3"]
    assert found.strength == pytest.approx(0.3, rel=1e-4)
    assert abs(found.consistency) < 0.1


def test_categorical_code(effects) -> None:  # noqa: ANN001
    found = effects.codes["k1"]
    between = [np.mean((CATEGORIES[a] - CATEGORIES[b]) ** 2) / 4 for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found.strength == pytest.approx(np.sqrt(np.mean(between)), rel=1e-4)
    assert found.consistency == pytest.approx(1.0, abs=1e-4)


def test_noise_moves_between_the_ends_of_a_uniform_prior_of_its_variance(effects) -> None:  # noqa: ANN001
    assert len(effects.noise) == 4
    steps = 0.01 * 2 * np.sqrt(3) * np.sqrt(np.mean(DIRECTIONS[1:] ** 2, axis=1)) / 2
    np.testing.assert_allclose([e.strength for e in effects.noise[1:]], steps, rtol=1e-4)
    assert effects.times_noise("c1") == pytest.approx(0.1 / np.mean([e.strength for e in effects.noise]))


def test_without_noise_effects_of_noise_are_none() -> None:
    class Plain(LinearBundle):
        latent = LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=1)

        def generate(self, latents: Latents) -> np.ndarray:
            return (latents.styles * PATTERN).reshape(-1, 1, SIZE, SIZE).astype(np.float32)

    found = measure_effects(Plain(), ["c1"], seed=0)
    assert found.noise == ()
    assert found.times_noise("c1") is None
    assert found.codes["c1"].consistency == pytest.approx(1.0, abs=1e-5)


def test_a_periodic_code_is_moved_by_half_a_turn() -> None:
    class Turning(LinearBundle):
        latent = LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=1, periodic=("c1",))

        def generate(self, latents: Latents) -> np.ndarray:
            return (np.sin(np.pi * latents.styles) * PATTERN).reshape(-1, 1, SIZE, SIZE).astype(np.float32)

    found = measure_effects(Turning(), ["c1"], seed=0).codes["c1"]
    assert found.strength == pytest.approx(1.0, rel=1e-4), "0 from end to end"
    assert found.consistency == pytest.approx(1.0, abs=1e-4)


def test_alignment() -> None:
    same = np.ones((5, 3), np.float32)
    one = np.zeros(5, np.int64)
    assert alignment(same, one) == pytest.approx(1.0)
    assert alignment(np.eye(5, dtype=np.float32), one) == pytest.approx(0.0)
    assert alignment(np.array([[1.0], [-1.0]]), np.zeros(2, np.int64)) == pytest.approx(-1.0)
    assert alignment(same, np.arange(5)) is None, "no two of a group"
    assert alignment(0 * same, one) is None, "nothing changes"
    assert alignment(np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([0, 0, 1, 1])) == pytest.approx(1.0)


def test_unrelated_changes_have_consistency_0_for_any_number_of_images() -> None:
    changes = np.random.default_rng(1).standard_normal((200, 400))
    for repeats in (2, 10, 100):
        groups = np.arange(200) // repeats
        assert alignment(changes, groups) == pytest.approx(0.0, abs=0.02)


def test_many_combinations_of_categories_are_thinned_evenly() -> None:
    class Many(LinearBundle):
        latent = LatentSpec(noise=2, noise_prior="uniform", categorical=(1000,) * 20, continuous=0)
        drawn = 0

        def generate(self, latents: Latents) -> np.ndarray:
            latents.check(self.latent)
            self.drawn += len(latents)
            return np.zeros((len(latents), 1, SIZE, SIZE), np.float32)

    bundle = Many()
    found = measure_effects(bundle, ["k1", "k20"], seed=0)
    assert found.codes["k20"].consistency is None
    assert bundle.drawn < 5000


# --- sharpness ---------------------------------------------------------------------------------------------


def test_blur_lowers_sharpness_and_contrast_does_not() -> None:
    rng = np.random.default_rng(2)
    sharp = (rng.random((20, 24, 24, 1)) > 0.7).repeat(3, axis=1).repeat(3, axis=2)[:, :24, :24]
    images = (200 * sharp).astype(np.uint8)
    padded = np.pad(images.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    blurred = sum(padded[:, i : i + 24, j : j + 24] for i in range(3) for j in range(3)) / 9
    whole, soft = sharpness(images), sharpness(blurred.round().astype(np.uint8))
    assert whole is not None
    assert soft is not None
    assert soft < 0.3 * whole
    assert sharpness(images // 2) == pytest.approx(whole, rel=1e-3)
    assert sharpness(np.repeat(images, 3, axis=3)) == pytest.approx(whole, rel=1e-3)
    grain = images.astype(int) + rng.integers(-30, 31, images.shape)
    assert (sharpness(grain.clip(0, 255).astype(np.uint8)) or 0) > whole


@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (3, 2, 2, 1), (3, 8, 8, 1)])
def test_sharpness_without_structure_is_none(shape: tuple[int, ...]) -> None:
    assert sharpness(np.full(shape, 9, np.uint8)) is None
