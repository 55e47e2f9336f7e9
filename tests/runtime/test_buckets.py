"""What a GPU is given: batches of a few sizes, bound to buffers. The same code runs here on the CPU."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.encode.pipeline import encode_chunks
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.bundle import bundle as bundles
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import GENERATOR_FILE
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.inference.buckets import BUCKETS, bucket_of
from infogan_tool.runtime.inference.session import GraphSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from infogan_tool.runtime import Bundle, Posterior

COUNTS = (1, 2, 3, 15, 16, 17, 255, 256, 257, 600)


class Watched:
    """A session that keeps the shapes that it was run on."""

    def __init__(self, opened: GraphSession) -> None:
        assert opened._buckets is not None
        self.shapes: list[tuple[int, ...]] = []
        self._session = opened._session
        self._graph = opened._buckets
        self._graph._session = self

    def io_binding(self) -> object:
        return self._session.io_binding()

    def run_with_iobinding(self, binding: object) -> None:
        value = next(
            value
            for bucket in self._graph._buckets.values()
            for value in bucket._inputs.values()
            if bucket._binding is binding
        )
        self.shapes.append(tuple(value.shape()))
        self._session.run_with_iobinding(binding)


@pytest.fixture
def bucketed(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle that ships, run as on a GPU."""
    monkeypatch.setattr(bundles, "GraphSession", partial(GraphSession, bucketed=True))
    return load_bundle(device="cpu", threads=2)


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.float32]:
    plain = load_bundle(device="cpu", threads=1)
    return plain.generate(plain.sample(max(COUNTS), seed=3))


def same(a: Posterior, b: Posterior, rows: slice = slice(None)) -> bool:
    pairs = [(a.probabilities[0], b.probabilities[0])]
    pairs += [(getattr(a, name), getattr(b, name)) for name in ("style_mean", "style_std", "distance")]
    return all(np.array_equal(x, y[rows]) for x, y in pairs)


@pytest.mark.parametrize(
    ("count", "size"), [(1, 2), (2, 2), (3, 16), (16, 16), (17, 256), (256, 256), (257, 256)]
)
def test_the_bucket_of_a_batch(count: int, size: int) -> None:
    assert bucket_of(count) == size


def test_codes_and_images_are_those_of_the_plain_path_to_the_bit(
    bucketed: Bundle, images: npt.NDArray[np.float32]
) -> None:
    plain = load_bundle(device="cpu", threads=1)
    whole = plain.encode(images)
    bucketed.warm_up()
    for count in COUNTS:
        assert same(bucketed.encode(images[:count]), whole, slice(count)), count
        latents = plain.sample(count, seed=3)
        assert np.array_equal(bucketed.generate(latents), images[:count]), count
    assert len(bucketed.encode(images[:0]).categories) == 0


def test_only_the_buckets_sizes_are_run(images: npt.NDArray[np.float32]) -> None:
    opened = GraphSession((PRETRAINED_BUNDLE / "q_encoder.onnx").read_bytes(), device="cpu", bucketed=True)
    watched = Watched(opened)
    opened.warm_up()
    assert [shape[0] for shape in watched.shapes] == list(BUCKETS)
    watched.shapes.clear()
    for count in COUNTS:
        found = opened.run({"images": images[:count]})
        assert {len(values) for values in found.values()} == {count}
    assert {shape[0] for shape in watched.shapes} == set(BUCKETS)
    assert len(watched.shapes) == len(COUNTS) + 1 + 2, "257 are two batches, 600 are three"
    assert len(opened._buckets._buckets) == len(BUCKETS), "buffers are made once"


def test_outputs_are_the_callers_own(images: npt.NDArray[np.float32]) -> None:
    opened = GraphSession((PRETRAINED_BUNDLE / "q_encoder.onnx").read_bytes(), device="cpu", bucketed=True)
    first = opened.run({"images": images[:16]})
    kept = {name: values.copy() for name, values in first.items()}
    opened.run({"images": images[100:116]})
    for name, values in first.items():
        assert np.array_equal(values, kept[name]), "the next batch has the same buffers"


def test_what_fills_a_batch_up_is_its_last_row(images: npt.NDArray[np.float32]) -> None:
    opened = GraphSession((PRETRAINED_BUNDLE / "q_encoder.onnx").read_bytes(), device="cpu", bucketed=True)
    opened.run({"images": images[:16]})
    opened.run({"images": images[20:23]})
    assert opened._buckets is not None
    held = opened._buckets._buckets[16]._inputs["images"].numpy()
    assert np.array_equal(held[:3], images[20:23])
    assert all(np.array_equal(row, images[22]) for row in held[3:])


def test_threads_take_turns(bucketed: Bundle, images: npt.NDArray[np.float32]) -> None:
    whole = load_bundle(device="cpu", threads=1).encode(images)
    rng = np.random.default_rng(0)
    cuts = [slice(start, start + int(rng.integers(1, 300))) for start in rng.integers(0, 590, 24).tolist()]
    with ThreadPoolExecutor(8) as pool:
        for rows, found in zip(cuts, pool.map(lambda rows: bucketed.encode(images[rows]), cuts), strict=True):
            assert same(found, whole, rows)


def test_bulk_encoding_is_the_same(bucketed: Bundle, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "many.npy", rng.integers(0, 256, (700, 28, 28), np.uint8))

    def encoded(bundle: Bundle) -> list[Posterior | None]:
        chunks = Inputs([str(tmp_path / "many.npy")], bundle.image, column=None, stdin=None).chunks()
        return [chunk.posterior for chunk in encode_chunks(bundle, chunks, raw=True, processes=2)]

    plain, found = encoded(load_bundle(device="cpu", threads=1)), encoded(bucketed)
    assert len(plain) == len(found) == 3
    for a, b in zip(plain, found, strict=True):
        assert a is not None
        assert b is not None
        assert same(b, a)


def test_a_cpu_pays_nothing_for_it() -> None:
    code = """
import sys, numpy as np
from infogan_tool.runtime import load_bundle
load_bundle(device="cpu", one_shot=True).encode(np.zeros((1, 28, 28), np.uint8))
sys.exit("infogan_tool.runtime.inference.buckets" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_warming_up_a_plain_session_opens_it_and_no_more() -> None:
    bundle = load_bundle(device="cpu")
    bundle.warm_up([GENERATOR_FILE])
    assert list(bundle._sessions) == [GENERATOR_FILE]
    assert not bundle._sessions[GENERATOR_FILE].bucketed


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "the inputs are images, not none"),
        ({"x": np.zeros((2, 1, 28, 28), np.float32)}, "the inputs are images, not x"),
        # Of these onnxruntime would copy as many bytes as there are, without a word.
        ({"images": np.zeros((2, 784), np.float32)}, "input images takes float32 in rows of"),
        ({"images": np.zeros((2, 1, 28, 28))}, "not float64"),
        ({"images": np.zeros((2, 1, 28, 28), np.int32)}, "not int32"),
        ({"images": np.zeros((2, 1, 14, 56), np.float32)}, "not float32"),
    ],
)
def test_wrong_feeds_are_refused(feeds: Mapping[str, npt.NDArray[np.generic]], message: str) -> None:
    content = (PRETRAINED_BUNDLE / "q_encoder.onnx").read_bytes()
    opened = GraphSession(content, device="cpu", bucketed=True, name="g.onnx")
    with pytest.raises(BundleError, match="cannot be run") as caught:
        opened.run(feeds)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inputs_of_different_lengths_are_refused() -> None:
    opened = GraphSession((PRETRAINED_BUNDLE / GENERATOR_FILE).read_bytes(), device="cpu", bucketed=True)
    feeds = {
        name: np.zeros((3 - place, info.shape[1]), info.dtype)
        for place, (name, info) in enumerate(opened.inputs.items())
    }
    assert len(feeds) == 3
    with pytest.raises(BundleError, match="the inputs have 1 and 2 and 3 rows"):
        opened.run(feeds)
