"""The latent spec: slices, names, entropies and refusals, without torch."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from infogan_tool.runtime.errors import LatentError
from infogan_tool.runtime.latents.spec import CONTINUOUS_HIGH, CONTINUOUS_LOW, LatentSpec

TWO = LatentSpec(noise=5, noise_prior="normal", categorical=(4, 3), continuous=3)
VALID = {"noise": 5, "noise_prior": "normal", "categorical": [4, 3], "continuous": 3}
ANGLES = replace(TWO, periodic=("c3", "c1"))
SPECS = [
    TWO,
    LatentSpec(noise=62, noise_prior="uniform", categorical=(10,), continuous=2),
    LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=2),
    LatentSpec(noise=3, noise_prior="normal", categorical=(20, 2, 7), continuous=0),
    ANGLES,
]


def test_slices() -> None:
    assert (TWO.dim, TWO.num_logits) == (15, 7)
    assert TWO.noise_slice == slice(0, 5)
    assert TWO.logit_slices == (slice(0, 4), slice(4, 7))
    assert TWO.categorical_slices == (slice(5, 9), slice(9, 12))
    assert TWO.continuous_slice == slice(12, 15)


@pytest.mark.parametrize("spec", SPECS)
def test_slices_lie_side_by_side_and_cover_the_latent(spec: LatentSpec) -> None:
    parts = (spec.noise_slice, *spec.categorical_slices, spec.continuous_slice)
    places = [i for part in parts for i in range(spec.dim)[part]]
    assert places == list(range(spec.dim))
    assert [i for s in spec.logit_slices for i in range(spec.num_logits)[s]] == list(range(spec.num_logits))
    assert [s.stop - s.start for s in spec.categorical_slices] == list(spec.categorical)


@pytest.mark.parametrize("spec", SPECS)
def test_round_trip_through_json(spec: LatentSpec) -> None:
    assert LatentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_names() -> None:
    assert TWO.categorical_names == ("k1", "k2")
    assert TWO.continuous_names == ("c1", "c2", "c3")
    assert TWO.code_names == ("k1", "k2", "c1", "c2", "c3")
    assert [TWO.categorical_index(name) for name in TWO.categorical_names] == [0, 1]
    assert [TWO.continuous_index(name) for name in TWO.continuous_names] == [0, 1, 2]


def test_unknown_names() -> None:
    with pytest.raises(LatentError, match=r"^there is no categorical code 'k3' \(valid: k1, k2\)$"):
        TWO.categorical_index("k3")
    with pytest.raises(LatentError, match=r"^there is no continuous code 'k1' \(valid: c1, c2, c3\)$"):
        TWO.continuous_index("k1")


def test_entropies() -> None:
    assert (CONTINUOUS_LOW, CONTINUOUS_HIGH) == (-1.0, 1.0)
    expected = {"k1": math.log(4), "k2": math.log(3), **dict.fromkeys(("c1", "c2", "c3"), math.log(2))}
    assert TWO.entropies == pytest.approx(expected)
    assert list(TWO.entropies) == list(TWO.code_names)


def test_to_dict() -> None:
    assert TWO.to_dict() == VALID
    assert ANGLES.to_dict() == {**VALID, "periodic": ["c3", "c1"]}
    assert LatentSpec.from_dict(VALID) == TWO
    assert LatentSpec.from_dict({**VALID, "categorical": (4, 3)}) == TWO


def test_nearest_values_of_periodic_codes() -> None:
    assert ANGLES.periodic_columns == (0, 2)
    styles = np.array([[0.9, 0.9, -0.8], [0.1, 0.2, 0.3]])
    to = np.array([[-0.9, -0.9, 0.7], [0.2, 0.1, 0.9]])
    moved = ANGLES.nearest(styles, to)
    assert moved.tolist() == [pytest.approx([-1.1, 0.9, 1.2]), pytest.approx([0.1, 0.2, 0.3])]
    assert styles.tolist()[0] == pytest.approx([0.9, 0.9, -0.8]), "the given ones are unchanged"
    assert TWO.nearest(styles, to) is styles


def test_smallest() -> None:
    assert LatentSpec(noise=0, noise_prior="uniform", categorical=(2,), continuous=0).dim == 2
    assert LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=1).dim == 1


def test_widest() -> None:
    assert LatentSpec(noise=65_534, noise_prior="uniform", categorical=(2,), continuous=0).dim == 65_536
    with pytest.raises(LatentError, match="the latent is 65,537 wide; at most 65,536 is allowed"):
        LatentSpec(noise=65_535, noise_prior="uniform", categorical=(2,), continuous=0)


def test_it_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        TWO.noise = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        LatentSpec(5, "normal", (4,), 3)  # type: ignore[misc]
    assert not hasattr(TWO, "__dict__")
    assert len({TWO, LatentSpec.from_dict(VALID)}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": -1}, "whole numbers of at least 0"),
        ({"noise": 1.5}, "whole numbers of at least 0"),
        ({"noise": True}, "whole numbers of at least 0"),
        ({"noise": "3"}, "whole numbers of at least 0"),
        ({"continuous": -1}, "whole numbers of at least 0"),
        ({"continuous": None}, "whole numbers of at least 0"),
        ({"categorical": [4, -1]}, "whole numbers of at least 0"),
        ({"categorical": [True]}, "whole numbers of at least 0"),
        ({"categorical": [4, 1]}, "needs at least 2 categories"),
        ({"categorical": [0]}, "needs at least 2 categories"),
        ({"categorical": [], "continuous": 0}, "has no code"),
        ({"noise_prior": "uniforn"}, r"^unknown noise_prior 'uniforn' \(did you mean 'uniform'\?\)$"),
        ({"noise_prior": 3}, "unknown noise_prior '3'"),
        ({"categorical": 10}, "list of numbers of categories"),
        ({"categorical": "10"}, "list of numbers of categories"),
        ({"categorical": [2] * 65_537}, "list of numbers of categories"),
        ({"categorical": [2] * 65_536}, "the latent is 131,080 wide"),
        ({"periodic": "c1"}, r"list of names of continuous codes, such as \[\"c1\"\]"),
        ({"periodic": [1]}, "list of names of continuous codes"),
        (
            {"periodic": ["k1"]},
            r"^latent 'periodic' has 'k1', which is no continuous code \(valid: c1, c2, c3\)$",
        ),
        ({"periodic": ["c1", "c2", "c1"]}, "latent 'periodic' has c1 twice"),
        ({"periodic": ["c1"] * 1_000_000}, "has c1 twice"),
        ({"noize": 3}, r"^unknown latent key 'noize' \(did you mean 'noise'\?\)$"),
        ({7: 3}, "unknown latent key '7'"),
    ],
)
def test_refused(change: dict[Any, Any], message: str) -> None:
    with pytest.raises(LatentError, match=message):
        LatentSpec.from_dict({**VALID, **change})


@pytest.mark.parametrize("key", list(VALID))
def test_missing_key(key: str) -> None:
    with pytest.raises(LatentError, match=f"^the latent spec has no '{key}'$"):
        LatentSpec.from_dict({name: value for name, value in VALID.items() if name != key})


@pytest.mark.parametrize("data", [None, [], "noise", 3, [("noise", 1)]])
def test_not_a_table(data: object) -> None:
    with pytest.raises(LatentError, match="table with the keys noise, noise_prior, categorical, continuous"):
        LatentSpec.from_dict(data)
