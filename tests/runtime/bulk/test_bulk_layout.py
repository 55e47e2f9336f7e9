"""Asked of many images at once, the same as asked of each."""

from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.runtime import ImageSpec
from infogan_tool.runtime.bulk.inputs.arrays import RowsChunk
from infogan_tool.runtime.images.spec import Preprocessing
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.preprocessing.matches_rows import _used, rows_match_preprocessing


def images() -> np.ndarray:
    """Return boxes of all sizes, places and shades on black, noise, and nothing."""
    rng = np.random.default_rng(0)
    made = np.zeros((600, 28, 28), np.uint8)
    for index in range(500):
        height, width = (
            rng.integers(1, 26, 2) if index % 2 else (20 - rng.integers(0, 2), rng.integers(1, 20))
        )
        centred = index % 3
        top = (28 - height) // 2 + (0 if centred else rng.integers(-2, 3))
        left = (28 - width) // 2 + (0 if centred else rng.integers(-2, 3))
        top, left = max(0, top), max(0, left)
        made[index, top : top + height, left : left + width] = rng.integers(20, 256)
    made[500:550] = rng.integers(0, 256, (50, 28, 28))
    made[560:] = 255 - made[:40]
    return made


@pytest.mark.parametrize("centre", ["mass", "box"])
@pytest.mark.parametrize("ink", ["light", "dark"])
def test_the_same_as_one_by_one(centre: str, ink: str) -> None:
    preprocessing = Preprocessing(box=20, centre=centre, ink=ink, stroke=2.0)
    given = images() if ink == "light" else 255 - images()
    expected = [matches_preprocessing(image, preprocessing) for image in given]
    assert rows_match_preprocessing(given, preprocessing).tolist() == expected
    assert 50 < sum(expected) < 550


def test_an_array_is_ready_only_if_all_of_it_is() -> None:
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    given = images()
    good = given[rows_match_preprocessing(given, preprocessing)][..., None]
    spec = ImageSpec(size=28, channels=1, low=0.0, high=1.0, preprocessing=preprocessing)

    def ready(rows: np.ndarray, *, raw: bool = False) -> object:
        return RowsChunk(["x"] * len(rows), rows, np.zeros(len(rows), bool), b"").ready(spec, raw=raw)

    assert ready(good) is not None
    mixed = np.concatenate((good[:3], given[510:511, ..., None]))
    assert ready(mixed) is None
    assert ready(mixed, raw=True) is not None
    assert ready(good[:, :20]) is None


@pytest.mark.parametrize("size", [1, 4, 7, 12, 28, 32, 33, 64])
def test_used_rows_and_columns_at_any_size(size: int) -> None:
    rng = np.random.default_rng(size)
    seen = rng.random((50, size, size)) < rng.random((50, 1, 1)) ** 4
    seen[0], seen[1] = False, True
    rows, columns = _used(seen)
    assert (rows == seen.any(axis=2)).all()
    assert (columns == seen.any(axis=1)).all()
    assert rows.dtype == columns.dtype == bool
    lines = np.zeros((50, size + 1, size), bool)  # as they lie in a decoded sheet, with a row between
    lines[:, 1:] = seen
    assert all((a == b).all() for a, b in zip(_used(lines[:, 1:]), (rows, columns), strict=True))
