"""An image that takes too long is one failed image, in a decoding process and in a short run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode import deadline
from infogan_tool.runtime.bulk.decode.deadline import read_with_timeout
from infogan_tool.runtime.bulk.decode.decoding import decode
from infogan_tool.runtime.bulk.decode.process_pool import DecodePool
from infogan_tool.runtime.bulk.inputs.chunks import BlobChunk, FileChunk
from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.files import read_image

SPEC = load_bundle().image


def slow_image(side: int) -> bytes:
    """Return an image of numbers as text, of which Pillow reads a few million a second."""
    return b"P2 %d %d 255\n" % (side, side) + b"1 " * side**2


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (50, 40), np.uint8)).save(path)
    paths[2].write_bytes(slow_image(800))
    return [str(path) for path in paths]


def test_in_a_process_of_its_own(names: list[str]) -> None:
    Path(names[2]).write_bytes(slow_image(4000))
    pool = DecodePool(1, SPEC, raw=False, seconds=1)
    try:
        found = pool.submit(FileChunk(names, {})).result()
        assert found.failures == {2: f"{names[2]}: reading it takes longer than 1 seconds"}
        others = [name for name in names if name != names[2]]
        assert np.array_equal(found.images, decode(others, others, SPEC, raw=False).images)
        # The process is there again, and what waits between two images is not counted.
        time.sleep(1.2)
        again = pool.submit(BlobChunk(["a"], [(names[0]).encode()])).result()
        assert "a: not an image" in again.failures[0]
    finally:
        pool.close()


def test_in_the_process_of_a_short_run(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match=r"2\.png: reading it takes longer than 0\.01 seconds"):
        read_with_timeout(names[2], SPEC, raw=False, seconds=0.01)
    assert np.array_equal(read_with_timeout(names[0], SPEC, raw=False), read_image(names[0], SPEC))
    with pytest.raises(ImageError, match="No such file"):
        read_with_timeout("no.png", SPEC, raw=True)
    left = [thread for thread in threading.enumerate() if thread.daemon]
    for thread in left:
        thread.join(300)  # it does end, and must not go on below other tests


def test_the_limit_that_is_used(names: list[str]) -> None:
    assert deadline.SECONDS == 60
    pool = DecodePool(1, SPEC, raw=False)
    pool.close()
    assert pool._all[0].seconds == deadline.SECONDS
