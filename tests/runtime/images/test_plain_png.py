"""The quick reader of plain PNG files: Pillow's pixels or None, whatever the file."""

from __future__ import annotations

import io
import itertools
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.plain_png import PLAIN_BYTES, read_plain_png, read_plain_pngs

SIZE = 28


def image(seed: int) -> np.ndarray:
    """Smooth and noisy parts, so that an encoder chooses among all filters."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    smooth = 127 + 120 * np.sin(x / rng.uniform(1, 9)) * np.cos(y / rng.uniform(1, 9))
    return np.where(
        rng.random((SIZE, SIZE)) < rng.uniform(0, 0.5), rng.integers(0, 256, (SIZE, SIZE)), smooth
    ).astype(np.uint8)


def png(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def by_hand(rows: bytes, *, parts: int = 1) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0))
    packed = zlib.compress(rows)
    cuts = [len(packed) * i // parts for i in range(parts + 1)]
    data = b"".join(chunk(b"IDAT", packed[a:b]) for a, b in itertools.pairwise(cuts))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("seed", range(20))
def test_plain_files_are_read_to_the_bit(seed: int) -> None:
    values = image(seed)
    found = read_plain_png(png(values, compress_level=seed % 10), SIZE)
    assert found is not None
    assert (found == values).all()


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_pillows(kind: int) -> None:
    rows = np.random.default_rng(kind).integers(0, 256, (SIZE, SIZE + 1), np.uint8)
    rows[:, 0] = kind
    content = by_hand(rows.tobytes(), parts=3)
    found = read_plain_png(content, SIZE)
    assert found is not None
    assert (found == np.asarray(Image.open(io.BytesIO(content)))).all()


def test_anything_else_is_left_to_pillow() -> None:
    values = image(0)
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b")
    others = [
        png(values, pnginfo=text),
        png(values, transparency=3),
        png(np.stack([values] * 3, axis=2)),
        png(values.astype(np.uint16) * 257),
        png(values > 99),
        png(values[:, :27]),
        png(values) + b"more",
        b"",
        b"\x89PNG\r\n\x1a\n",
    ]
    assert [read_plain_png(content, SIZE) for content in others] == [None] * len(others)


def test_damaged_files_are_never_read_wrong() -> None:
    values, rng, read = image(1), random.Random(0), 0
    content = png(values)
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 5])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        found = read_plain_png(bytes(damaged), SIZE)
        if found is not None:
            read += 1
            assert (found == values).all(), "only a change that changes nothing gets through"
    assert read < 30


@pytest.mark.parametrize(
    "rows",
    [b"", b"\0" * SIZE, b"\x09" + bytes(29 * SIZE)],
    ids=["nothing", "too little", "no such filter"],
)
def test_bad_content_in_good_chunks_is_left_to_pillow(rows: bytes) -> None:
    assert read_plain_png(by_hand(rows), SIZE) is None


def test_too_much_content_ends_with_the_image() -> None:
    content = by_hand(bytes(40 * 2**20))
    assert len(content) > PLAIN_BYTES
    found = read_plain_png(content, SIZE)
    assert found is None or not found.any()


def test_read_image_gives_the_same_either_way() -> None:
    spec = load_bundle().image
    for seed in range(5):
        values = image(seed)
        assert (read_image(png(values), spec) == read_image(png(values, pnginfo=_note()), spec)).all()


def _note() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("so that it is not plain", "x")
    return text


def test_many_at_once_are_each_as_alone() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b")
    contents: list[bytes | None] = [png(image(seed)) for seed in range(30)]
    contents[3] = None
    contents[4] = png(image(4), pnginfo=text)
    contents[9] = by_hand(b"\x09" + bytes(29 * SIZE))[:-1]
    unknown = np.zeros((SIZE, SIZE + 1), np.uint8)
    unknown[7, 0] = 5
    contents[11] = by_hand(unknown.tobytes())
    contents[12] = by_hand(bytes(29 * SIZE), parts=4)
    pixels, places = read_plain_pngs(contents, SIZE)
    assert list(places) == [place for place in range(30) if place not in (3, 4, 9, 11)]
    for found, place in zip(pixels, places, strict=True):
        alone = read_plain_png(contents[place] or b"", SIZE)
        assert alone is not None
        assert (found == alone).all()
        assert (found == np.asarray(Image.open(io.BytesIO(contents[place] or b"")))).all()
    nothing, nowhere = read_plain_pngs([None, b"", b"x"], SIZE)
    assert nothing.shape == (0, SIZE, SIZE)
    assert not nowhere


def test_a_small_file_of_a_large_image_is_not_decompressed() -> None:
    bomb = by_hand(bytes(3 * 2**20))
    assert SIZE * SIZE + 1024 < len(bomb) < PLAIN_BYTES
    tracemalloc.start()
    assert read_plain_png(bomb, SIZE) is None
    assert tracemalloc.get_traced_memory()[1] < 2**18
    tracemalloc.stop()
