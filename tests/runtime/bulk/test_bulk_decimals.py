"""Numbers for many records at once are, to the byte, those that Python writes for each."""

from __future__ import annotations

import json

import numpy as np
import pytest

from infogan_tool.runtime.bulk.output.decimals import decimals, joined, lines, texts


def written(values: np.ndarray) -> list[str]:
    rows = decimals(values)
    return [bytes(row).replace(b"\0", b"").decode() for row in rows.reshape(-1, rows.shape[-1])]


def as_python_writes(values: np.ndarray) -> list[str]:
    return [repr(value) for value in np.round(values.astype(np.float64), 6).ravel().tolist()]


RNG = np.random.default_rng(0)
KINDS = {
    "millionths": np.arange(-3_000, 3_000) / 1e6,
    "probabilities": RNG.random(20_000),
    "thousandths": np.arange(-2_000, 2_000) / 1e3,
    "styles": RNG.normal(0, 1, 20_000),
    "tiny": RNG.normal(0, 3e-5, 20_000),
    "of any size": RNG.choice([-1, 1], 20_000) * 10.0 ** RNG.uniform(-45, 38, 20_000),
    "about a thousand": RNG.uniform(999, 1001, 20_000),
    "ends": [0.0, -0.0, 1.0, -1.0, 999.99999, 1000.0, 3.4e38, -3.4e38, 1e-45, -1e-45, 5e-7, 4.9e-7, 9.95e-5],
}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_as_python_writes_them(kind: str) -> None:
    values = np.asarray(KINDS[kind], np.float32)
    assert written(values) == as_python_writes(values)


def test_shapes_are_kept() -> None:
    values = np.linspace(-1, 2000, 24, dtype=np.float32).reshape(2, 3, 4)
    assert decimals(values).shape[:3] == (2, 3, 4)
    assert written(values) == as_python_writes(values)
    assert decimals(np.empty((0, 5), np.float32)).shape[:2] == (0, 5)


def test_lines() -> None:
    values = np.array([[0.5, 1e-6], [-3.25, 12345.678]], np.float32)
    parts = ['{"a": [', joined(decimals(values), ", "), '], "b": ', texts(['"é"', "null"]), "}"]
    found = lines(2, parts)
    assert b"".join(found).count(b"\n") == 2
    assert [json.loads(line) for line in found] == [
        {"a": [0.5, 1e-6], "b": "é"},
        {"a": [-3.25, 12345.677734], "b": None},
    ]
    assert lines(2, ["x"]) == [b"x\n", b"x\n"]
