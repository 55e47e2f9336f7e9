"""Dead and duplicate codes."""

import numpy as np
import pytest

from infogan_tool.export.evaluation.metrics.code_usage import measure_code_usage

NAMES = ["c1", "c2", "c3", "c4"]


def test_dead_and_duplicate_codes() -> None:
    rng = np.random.default_rng(0)
    codes = rng.uniform(-1, 1, (5000, 4))
    both = (codes[:, 1] + codes[:, 2]) / 2  # the image shows only the sum of c2 and c3
    means = np.stack(
        [codes[:, 0] + 0.1 * rng.standard_normal(5000), both, both, rng.standard_normal(5000)], 1
    )
    usage = measure_code_usage(NAMES, codes, means)
    assert usage.dead == ("c4",)
    assert usage.duplicates == (("c2", "c3"),)
    assert usage.suggested == 2
    assert usage.information["c1"] > 1
    assert usage.information["c2"] == pytest.approx(0.5 * np.log(2), abs=0.03), "r^2 is 1/2"
    assert usage.to_dict()["information"]["c4"] == 0
    assert [usage.describe(name) for name in NAMES] == ["used", "duplicate of c3", "duplicate of c2", "dead"]


def test_all_codes_in_use() -> None:
    codes = np.random.default_rng(1).uniform(-1, 1, (1000, 4))
    usage = measure_code_usage(NAMES, codes, 0.5 * codes)
    assert (usage.dead, usage.duplicates, usage.suggested) == ((), (), 4)
    assert all(np.isfinite(value) for value in usage.information.values())


def test_encoder_that_infers_a_constant() -> None:
    codes = np.random.default_rng(2).uniform(-1, 1, (1000, 4))
    usage = measure_code_usage(NAMES, codes, np.zeros((1000, 4)))
    assert usage.dead == tuple(NAMES)
    assert usage.suggested == 0
    assert measure_code_usage([], codes[:, :0], codes[:, :0]).suggested == 0


def test_a_periodic_code_is_compared_as_an_angle() -> None:
    codes = np.random.default_rng(3).uniform(-1, 1, (5000, 2))
    means = (codes + 0.25 + 1) % 2 - 1  # an eighth of a period further
    usage = measure_code_usage(["c1", "c2"], codes, means, periodic=["c2"])
    assert usage.information["c1"] == pytest.approx(-0.5 * np.log1p(-(0.34**2)), abs=0.02), "many jumps by 2"
    assert usage.information["c2"] == pytest.approx(-0.5 * np.log1p(-(np.cos(np.pi / 4) ** 2)))
    assert usage.dead == ("c1",)
