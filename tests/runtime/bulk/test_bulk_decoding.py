"""A chunk is decoded as its pictures one by one, whatever is among them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.bulk.chunks import Failed
from infogan_tool.runtime.bulk.decoding import decode
from infogan_tool.runtime.errors import PictureError
from infogan_tool.runtime.image_spec import ImageSpec, Preparation
from infogan_tool.runtime.images import read_picture

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ImageSpec(size=28, channels=1, low=0.0, high=1.0)


def drawn(seed: int) -> np.ndarray:
    """A bright bar, at its place for even seeds and off it for odd ones."""
    values = np.zeros((28, 28), np.uint8)
    left = 13 - 6 * (seed % 2)
    values[4:24, left : left + 2] = 255 - seed
    return values


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("prepared", [False, True])
def test_many_at_once_are_each_as_alone(tmp_path: Path, *, raw: bool, prepared: bool) -> None:
    recipe = Preparation(box=20, centre="mass", ink="light", stroke=0.0)
    spec = replace(SPEC, preparation=recipe if prepared else None)
    sources: list[str | bytes | Failed] = []
    for seed in range(12):
        path = tmp_path / f"{seed}.png"
        Image.fromarray(drawn(seed)).save(path)
        sources.append(str(path))
    big = io.BytesIO()
    Image.fromarray(drawn(3)).resize((90, 70)).save(big, "JPEG")
    small = io.BytesIO()
    Image.fromarray(drawn(4)).save(small, "PNG")
    (tmp_path / "no.png").write_bytes(b"no picture")
    sources[5:5] = [big.getvalue(), str(tmp_path / "no.png"), small.getvalue(), Failed("x", "x: gone")]
    sources += [str(tmp_path / "missing.png"), str(tmp_path)]
    names = [f"n{index}" for index in range(len(sources))]
    found = decode(names, sources, spec, raw=raw)
    expected = []
    for index, source in enumerate(sources):
        try:
            assert not isinstance(source, Failed)
            expected.append(read_picture(source, spec, raw=raw))
        except (PictureError, AssertionError):
            assert index in found.failures
    assert sorted(found.failures) == [6, 8, 16, 17]
    assert (found.images == np.stack(expected)).all()
