"""An array needs no decoding if all of its images are already preprocessed."""

from __future__ import annotations

import numpy as np

from infogan_tool.runtime import ImageSpec, Preprocessing
from infogan_tool.runtime.bulk.inputs.arrays import RowsChunk


def test_an_array_is_ready_only_if_all_of_it_is() -> None:
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    good = np.zeros((10, 28, 28, 1), np.uint8)
    good[:, 4:24, 10:18] = 255
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    spec = ImageSpec(size=28, channels=1, low=0.0, high=1.0, preprocessing=preprocessing)

    def ready(rows: np.ndarray, *, raw: bool = False) -> object:
        return RowsChunk(["x"] * len(rows), rows, np.zeros(len(rows), bool), b"").ready(spec, raw=raw)

    assert ready(good) is not None
    mixed = np.concatenate((good[:3], noise))
    assert ready(mixed) is None
    assert ready(mixed, raw=True) is not None
    assert ready(good[:, :20]) is None
