"""Decoding a chunk gives the same images as decoding them one by one."""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.bulk.decode.decoding import decode, decode_each, find_plain
from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ImageSpec(size=28, channels=1, low=0.0, high=1.0)


def digit(seed: int) -> np.ndarray:
    """A bright bar, at its place for even seeds and off it for odd ones."""
    values = np.zeros((28, 28), np.uint8)
    left = 13 - 6 * (seed % 2)
    values[4:24, left : left + 2] = 255 - seed
    return values


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("preprocessed", [False, True])
def test_decoding_together_equals_decoding_one_by_one(
    tmp_path: Path, *, raw: bool, preprocessed: bool
) -> None:
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=0.0)
    spec = replace(SPEC, preprocessing=preprocessing if preprocessed else None)
    sources: list[str | bytes | Failed] = []
    for seed in range(12):
        path = tmp_path / f"{seed}.png"
        Image.fromarray(digit(seed)).save(path)
        sources.append(str(path))
    big = io.BytesIO()
    Image.fromarray(digit(3)).resize((90, 70)).save(big, "JPEG")
    small = io.BytesIO()
    Image.fromarray(digit(4)).save(small, "PNG")
    (tmp_path / "no.png").write_bytes(b"no image")
    sources[5:5] = [big.getvalue(), str(tmp_path / "no.png"), small.getvalue(), Failed("x", "x: gone")]
    sources += [str(tmp_path / "missing.png"), str(tmp_path)]
    names = [f"n{index}" for index in range(len(sources))]
    found = decode(names, sources, spec, raw=raw)
    expected = []
    for index, source in enumerate(sources):
        try:
            assert not isinstance(source, Failed)
            expected.append(read_image(source, spec, raw=raw))
        except (ImageError, AssertionError):
            assert index in found.failures
    assert sorted(found.failures) == [6, 8, 16, 17]
    assert (found.images == np.stack(expected)).all()


def test_other_sources_are_merged_in_order(tmp_path: Path) -> None:
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=0.0)
    spec = replace(SPEC, preprocessing=preprocessing)
    sources: list[str | bytes | Failed] = []
    for seed in range(20):
        path = tmp_path / f"{seed}.png"
        Image.fromarray(digit(seed)).save(path)
        sources.append(str(path))
    sources[3] = Failed("x", "x: gone")
    sources[8:8] = [b"no image"]
    names = [f"n{index}" for index in range(len(sources))]
    plain = find_plain(sources, spec, raw=False)
    kinds = {place: type(source) for place, source in plain.left.items()}
    off = [place for place, kind in kinds.items() if kind is np.ndarray]
    # Those off their place are inflated already, and only wait to be preprocessed.
    assert off == [1, 5, 7, 10, 12, 14, 16, 18, 20]
    assert [place for place in kinds if place not in off] == [3, 8]
    others = decode_each([names[place] for place in plain.left], plain.left.values(), spec, raw=False)
    merged = plain.with_others(others)
    alone = decode_each(names, sources, spec, raw=False)
    assert merged.failures == alone.failures
    assert list(merged.failures) == [3, 8]
    assert (merged.images == alone.images).all()


def test_nothing_is_inflated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(SPEC, preprocessing=Preprocessing(box=20, centre="mass", ink="light", stroke=0.0))
    contents: list[bytes] = []
    for seed in range(20):
        file = io.BytesIO()
        Image.fromarray(digit(seed)).save(file, "PNG")
        contents.append(file.getvalue())
    calls, real = [], zlib.decompress

    def counted(*given: bytes, **named: int) -> bytes:
        calls.append(1)
        return real(*given, **named)

    monkeypatch.setattr(zlib, "decompress", counted)
    assert len(decode([""] * 20, contents, spec, raw=False).images) == 20
    assert len(calls) == 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_pipes_links_and_folders_are_not_read(tmp_path: Path) -> None:
    pipe, link, folder, gone = (tmp_path / f"{name}.png" for name in ("pipe", "link", "folder", "gone"))
    os.mkfifo(pipe)
    folder.mkdir()
    Image.fromarray(digit(0)).save(tmp_path / "a.png")
    link.symlink_to(tmp_path / "a.png")
    sources = [str(path) for path in (pipe, folder, gone, link, "a\0b.png")] + [str(tmp_path / "a.png")] * 5
    plain = find_plain(sources, SPEC, raw=True)
    assert list(plain.indices) == [5, 6, 7, 8, 9]
    found = decode(sources, sources, SPEC, raw=True)
    assert sorted(found.failures) == [0, 1, 2, 4], "a link is followed by the general reader"
    assert (found.images == digit(0)[..., None]).all()
