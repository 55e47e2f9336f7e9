from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from infogan_tool.runtime.errors import LatentError
from infogan_tool.runtime.latents.sampling import Latents, sample, traversal
from infogan_tool.runtime.latents.spec import LatentSpec

SPEC = LatentSpec(noise=5, noise_prior="normal", categorical=(4, 3), continuous=3)
UNIFORM = LatentSpec(noise=7, noise_prior="uniform", categorical=(10,), continuous=0)
BARE = LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=2)


def same(one: Latents, other: Latents) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("noise", "categories", "styles")
    )


@pytest.mark.parametrize("spec", [SPEC, UNIFORM, BARE])
def test_image_i_of_a_seed_does_not_depend_on_the_others(spec: LatentSpec) -> None:
    many = sample(spec, 300, seed=5)
    for start, n in ((0, 1), (0, 7), (17, 1), (17, 64), (299, 1)):
        assert same(sample(spec, n, 5, start=start), many[start : start + n])
    assert not same(sample(spec, 1, 6), many[0:1])
    assert not same(many[0:1], many[1:2])


def test_fixed_values_do_not_change_the_others() -> None:
    free = sample(SPEC, 50, seed=1)
    held = sample(SPEC, 50, seed=1, categories={"k1": 2}, styles={"c2": -1.5})
    np.testing.assert_array_equal(held.noise, free.noise)
    np.testing.assert_array_equal(held.categories[:, 1], free.categories[:, 1])
    np.testing.assert_array_equal(held.styles[:, [0, 2]], free.styles[:, [0, 2]])
    assert (held.categories[:, 0] == 2).all()
    assert (held.styles[:, 1] == -1.5).all()


def test_types_shapes_and_empty() -> None:
    drawn = sample(SPEC, 4)
    assert [(a.dtype.name, a.shape) for a in (drawn.noise, drawn.categories, drawn.styles)] == [
        ("float32", (4, 5)),
        ("int64", (4, 2)),
        ("float32", (4, 3)),
    ]
    assert len(sample(SPEC, 0)) == 0
    assert sample(BARE, 3).noise.shape == (3, 0)
    drawn.check(SPEC)


def test_the_stream_is_the_one_that_is_documented() -> None:
    """The documented stream: Philox4x64-10, key (seed, 0), counter (0, 0, 0, i)."""
    raw = np.random.Philox(key=9, counter=(0, 0, 0, 41)).random_raw(UNIFORM.noise + 1)
    numbers = (raw >> np.uint64(11)) * 2.0**-53
    drawn = sample(UNIFORM, 1, 9, start=41)
    np.testing.assert_array_equal(drawn.noise[0], (2 * numbers[:-1] - 1).astype(np.float32))
    assert drawn.categories[0, 0] == int(numbers[-1] * 10)


def test_priors() -> None:
    drawn = sample(SPEC, 4000, seed=2)
    # Four standard errors of the mean of 20,000 normals, of 12,000 uniforms, and of a share in 4,000.
    assert abs(drawn.noise.mean()) < 4 / 20_000**0.5
    assert abs(drawn.noise.std() - 1) < 4 / 40_000**0.5
    assert abs(drawn.styles.mean()) < 4 * 3**-0.5 / 12_000**0.5
    assert -1 <= drawn.styles.min() < -0.99
    assert 0.99 < drawn.styles.max() <= 1
    for column, size in enumerate(SPEC.categorical):
        shares = np.bincount(drawn.categories[:, column], minlength=size) / 4000
        np.testing.assert_allclose(shares, 1 / size, atol=4 * 0.5 / 4000**0.5)
    noise = sample(UNIFORM, 1000, seed=3).noise
    assert -1 <= noise.min() < -0.99
    assert 0.99 < noise.max() <= 1
    # Nothing is shared between the streams of neighbouring images or seeds.
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(noise.ravel(), sample(UNIFORM, 1000, seed=4).noise.ravel())[0, 1]) < 0.05


def test_large_seeds_and_starts() -> None:
    assert not same(sample(SPEC, 1, 2**64 - 1), sample(SPEC, 1, 2**63))
    assert not same(sample(SPEC, 1, 0, start=2**40), sample(SPEC, 1, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "at least 0"),
        ({"n": 1, "seed": -1}, "seed from 0"),
        ({"n": 1, "seed": 2**64}, "seed from 0"),
        ({"n": 1, "start": -1}, "at least 0"),
        ({"n": 1, "categories": {"k3": 0}}, "no categorical code 'k3'"),
        ({"n": 1, "categories": {"c1": 0}}, "no categorical code 'c1'"),
        ({"n": 1, "categories": {"k2": 3}}, "k2 has the categories 0 to 2, not 3"),
        ({"n": 1, "categories": {"k2": -1}}, "k2 has the categories 0 to 2, not -1"),
        ({"n": 1, "categories": {"k2": 1.0}}, "k2 has the categories 0 to 2"),
        ({"n": 0, "categories": {"k2": 9}}, "k2 has the categories 0 to 2"),
        ({"n": 1, "styles": {"c4": 0}}, "no continuous code 'c4' .valid: c1, c2, c3"),
        ({"n": 1, "styles": {"c1": float("nan")}}, "c1 must be finite and at most 1,000,000, not nan"),
        ({"n": 1, "styles": {"c1": 1e39}}, "c1 must be finite and at most 1,000,000, not 1e\\+39"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(LatentError, match=message):
        sample(SPEC, **arguments)  # type: ignore[arg-type]


def test_latents_by_hand() -> None:
    given = Latents([[0.0] * 5], [[1, 2]], [[0, 0.5, 1]])  # type: ignore[arg-type]
    assert (given.noise.dtype, given.categories.dtype, given.styles.dtype) == (
        np.float32,
        np.int64,
        np.float32,
    )
    given.check(SPEC)
    for changed, message in (
        (Latents(given.noise, np.array([[4, 0]]), given.styles), "k1 has the categories 0 to 3, not 4"),
        (Latents(given.noise, np.array([[0, -1]]), given.styles), "k2 has the categories 0 to 2"),
        (Latents(given.noise[:, :4], given.categories, given.styles), "4 noise.*spec has 5 noise"),
        (Latents(given.noise * np.nan, given.categories, given.styles), "not finite"),
        (Latents(given.noise, given.categories, given.styles + np.float32(1e7)), "not finite, or above"),
    ):
        with pytest.raises(LatentError, match=message):
            changed.check(SPEC)
    with pytest.raises(LatentError, match="whole numbers"):
        Latents(given.noise, np.array([[1.0, 2.0]]), given.styles)  # type: ignore[arg-type]
    with pytest.raises(LatentError, match="one N"):
        Latents(given.noise, given.categories, np.zeros((2, 3), np.float32))
    with pytest.raises(LatentError, match=r"\(N, width\)"):
        Latents(given.noise[0], given.categories, given.styles)


def test_traversal_of_a_continuous_code() -> None:
    plan = traversal(SPEC, "c2", seed=4, low=-1, high=1, steps=5)
    assert (plan.rows, plan.columns, plan.row_code) == (4, 5, "k1")
    assert plan.values == (-1, -0.5, 0, 0.5, 1)
    plan.latents.check(SPEC)
    assert (plan.latents.noise == plan.latents.noise[0]).all()
    np.testing.assert_array_equal(plan.latents.noise[0], sample(SPEC, 1, 4).noise[0])
    np.testing.assert_array_equal(
        plan.latents.categories[:, 0].reshape(4, 5), np.arange(4)[:, None].repeat(5, 1)
    )
    assert len(set(plan.latents.categories[:, 1])) == 1
    np.testing.assert_array_equal(plan.latents.styles[:, 1].reshape(4, 5), np.tile(plan.values, (4, 1)))
    assert (plan.latents.styles[:, [0, 2]] == 0).all()


@pytest.mark.parametrize(
    ("code", "ends", "expected"),
    [
        ("c1", {}, (-2, 2)),
        ("c2", {}, (-1, 1)),
        ("c1", {"high": 0.5}, (-2, 0.5)),
        ("c2", {"low": 0.0}, (0, 1)),
    ],
)
def test_a_periodic_code_goes_once_round(
    code: str, ends: dict[str, float], expected: tuple[float, ...]
) -> None:
    plan = traversal(replace(SPEC, periodic=("c2",)), code, **ends, steps=2)
    assert plan.values == expected


def test_traversal_of_a_categorical_code() -> None:
    plan = traversal(SPEC, "k2", seed=4, rows=6)
    assert (plan.rows, plan.columns, plan.row_code, plan.values) == (6, 3, None, (0, 1, 2))
    plan.latents.check(SPEC)
    np.testing.assert_array_equal(plan.latents.noise.reshape(6, 3, 5)[:, 0], sample(SPEC, 6, 4).noise)
    np.testing.assert_array_equal(plan.latents.categories[:, 1].reshape(6, 3), np.tile([0, 1, 2], (6, 1)))
    assert len(set(plan.latents.categories[:, 0])) == 1
    assert (plan.latents.styles == 0).all()


def test_traversal_without_categories_or_noise() -> None:
    plan = traversal(BARE, "c1")
    assert (plan.rows, plan.columns, plan.row_code) == (1, 10, None)
    assert (plan.values[0], plan.values[-1]) == (-2, 2)
    noisy = LatentSpec(noise=3, noise_prior="normal", categorical=(), continuous=1)
    plan = traversal(noisy, "c1", rows=4, steps=2)
    assert (plan.rows, plan.columns) == (4, 2)
    assert len({tuple(row) for row in plan.latents.noise}) == 4
    assert (
        traversal(LatentSpec(noise=0, noise_prior="normal", categorical=(3,), continuous=0), "k1").rows == 1
    )


@pytest.mark.parametrize(
    ("code", "changes", "message"),
    [
        ("c9", {}, "there is no code 'c9'"),
        ("noise", {}, "there is no code 'noise'"),
        ("c1", {"steps": 0}, "at least 1"),
        ("k1", {"rows": 0}, "at least 1"),
        ("c1", {"low": float("nan")}, "at most 1,000,000"),
        ("c1", {"high": float("inf")}, "at most 1,000,000"),
    ],
)
def test_traversal_refusals(code: str, changes: dict[str, float], message: str) -> None:
    with pytest.raises(LatentError, match=message):
        traversal(SPEC, code, **changes)  # type: ignore[arg-type]
