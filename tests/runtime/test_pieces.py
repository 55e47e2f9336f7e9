"""A large batch is shared out among threads: every row once, in any number of pieces, errors in order."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import find_bundle
from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.inference.shards import PIECE, ShardPool, cut

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("hands", [1, 2, 3, 16])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 65, 128, 255, 256, 257, 1000, 4097])
def test_the_pieces_are_all_rows_in_order(count: int, hands: int) -> None:
    pieces = cut(count, hands)
    assert pieces[0].start == 0
    assert pieces[-1].stop == count
    assert all(a.stop == b.start for a, b in pairwise(pieces))
    lengths = [piece.stop - piece.start for piece in pieces]
    assert max(lengths) <= PIECE
    assert len(set(lengths[:-1])) <= 1
    assert len(pieces) == 1 or min(lengths[:-1]) >= 16
    turns = -(-count // (PIECE * hands))
    assert len(pieces) <= turns * hands, "no thread has one more than the others"


def test_nothing_is_no_piece() -> None:
    assert cut(0, 2) == []


def test_all_hands_are_used_and_each_piece_is_done_once() -> None:
    pieces, done, meeting = cut(1024, 4), [], threading.Barrier(4, timeout=30)

    def work(piece: slice) -> None:
        if piece in pieces[:4]:
            meeting.wait()  # passes only if four threads are here at once
        done.append(piece.start)

    ShardPool(4).each(work, pieces)
    assert sorted(done) == [piece.start for piece in pieces]


def test_one_hand_is_the_callers() -> None:
    seen = []
    ShardPool(1).each(lambda _: seen.append(threading.current_thread()), cut(1000, 1))
    assert set(seen) == {threading.current_thread()}


def test_the_first_piece_that_fails_is_told_whatever_the_threads_do() -> None:
    crew, later, pieces = ShardPool(3), threading.Event(), cut(1000, 3)

    def work(piece: slice) -> None:
        if piece == pieces[1]:
            later.wait(30)  # the second piece fails after the third
            raise ValueError("second")
        if piece == pieces[2]:
            later.set()
            raise ValueError("third")

    for _ in range(20):
        later.clear()
        with pytest.raises(ValueError, match="second"):
            crew.each(work, pieces)


def test_a_crew_is_shared_by_callers() -> None:
    crew, sums = ShardPool(2), [0] * 8

    def caller(number: int) -> None:
        rows = np.zeros(3000)

        def work(piece: slice) -> None:
            rows[piece] += 1

        crew.each(work, cut(3000, 2))
        sums[number] = int(rows.sum()) if (rows == 1).all() else -1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sums == [3000] * 8


@pytest.mark.parametrize("name", ["mnist", "mnist-int8"])
def test_results_do_not_depend_on_threads_or_pieces(name: str) -> None:
    alone = load_bundle(name, device="cpu", threads=1)
    latents = alone.sample(300, seed=5)
    images = alone.generate(latents)
    whole = alone.encode(images)
    for threads in (2, 3, 7):
        bundle = load_bundle(name, device="cpu", threads=threads)
        assert np.array_equal(bundle.generate(latents), images)
        for rows in (slice(None), slice(0, 1), slice(1, 18), slice(33, 33 + 65), slice(0, 129)):
            part = bundle.encode(images[rows])
            for field in ("confidence", "style_mean", "style_std", "distance"):
                assert np.array_equal(getattr(part, field), getattr(whole, field)[rows]), (
                    threads,
                    rows,
                    field,
                )
            assert np.array_equal(part.probabilities[0], whole.probabilities[0][rows])


def test_a_bad_image_in_a_large_batch_is_told_by_its_piece(tiny: Path) -> None:
    bundle = load_bundle(tiny, device="cpu", threads=2)
    images = bundle.generate(bundle.sample(500))
    images[130], images[400] = 7, 9
    with pytest.raises(ImageError, match="to 7"):
        bundle.encode(images)


def test_the_bundles_that_ship_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle(None) == find_bundle("mnist")
    small, full = load_bundle("mnist-int8", device="cpu"), load_bundle(device="cpu")
    assert small.metadata.precision == "int8"
    assert small.metadata.drift["of"] == full.metadata.bundle_id, "made of the very bundle that ships"
    for name in ("", ".", "..", "mnist/", "x", "training", "./mnist-int8/q_encoder.onnx"):
        found = find_bundle(name)
        assert not found.is_absolute() or name == "mnist/"
    (tmp_path / "mnist").mkdir()
    assert not find_bundle("mnist").is_absolute(), "a folder of this name comes first"
