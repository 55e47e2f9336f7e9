"""Shards of a batch: every row once, any number of workers, errors in order."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import find_bundle
from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.inference.shards import SHARD_ROWS, ShardPool, split

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63, 64, 65, 128, 255, 256, 257, 1000, 4097])
def test_shards_cover_all_rows_in_order(count: int, workers: int) -> None:
    shards = split(count, workers)
    assert shards[0].start == 0
    assert shards[-1].stop == count
    assert all(a.stop == b.start for a, b in pairwise(shards))
    lengths = [shard.stop - shard.start for shard in shards]
    assert max(lengths) <= SHARD_ROWS
    assert len(set(lengths[:-1])) <= 1
    assert len(shards) == 1 or min(lengths[:-1]) >= 16
    turns = -(-count // (SHARD_ROWS * workers))
    assert len(shards) <= turns * workers, "no worker has one more than the others"


def test_no_rows_give_no_shards() -> None:
    assert split(0, 2) == []


def test_all_workers_run_and_each_shard_runs_once() -> None:
    shards, done, meeting = split(1024, 4), [], threading.Barrier(4, timeout=300)

    def work(shard: slice) -> None:
        if shard in shards[:4]:
            meeting.wait()  # passes only if four threads are here at once
        done.append(shard.start)

    ShardPool(4).run(work, shards)
    assert sorted(done) == [shard.start for shard in shards]


def test_one_worker_is_the_calling_thread() -> None:
    seen = []
    ShardPool(1).run(lambda _: seen.append(threading.current_thread()), split(1000, 1))
    assert set(seen) == {threading.current_thread()}


def test_the_error_of_the_first_failing_shard_is_raised() -> None:
    pool, later, shards = ShardPool(3), threading.Event(), split(1000, 3)

    def work(shard: slice) -> None:
        if shard == shards[1]:
            later.wait(300)  # the second shard fails after the third
            raise ValueError("second")
        if shard == shards[2]:
            later.set()
            raise ValueError("third")

    for _ in range(20):
        later.clear()
        with pytest.raises(ValueError, match="second"):
            pool.run(work, shards)


def test_one_pool_serves_several_callers() -> None:
    pool, sums = ShardPool(2), [0] * 8

    def caller(number: int) -> None:
        rows = np.zeros(3000)

        def work(shard: slice) -> None:
            rows[shard] += 1

        pool.run(work, split(3000, 2))
        sums[number] = int(rows.sum()) if (rows == 1).all() else -1

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert sums == [3000] * 8


@pytest.mark.parametrize("name", ["mnist", "mnist-int8"])
def test_results_do_not_depend_on_threads_or_shards(name: str) -> None:
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


def test_a_bad_image_in_a_large_batch_is_reported(tiny: Path) -> None:
    bundle = load_bundle(tiny, device="cpu", threads=2)
    images = bundle.generate(bundle.sample(500))
    images[130], images[400] = 7, 9
    with pytest.raises(ImageError, match="to 7"):
        bundle.encode(images)


def test_the_pretrained_bundles_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle(None) == find_bundle("mnist")
    small, full = load_bundle("mnist-int8", device="cpu"), load_bundle(device="cpu")
    assert small.metadata.precision == "int8"
    assert small.metadata.drift["fp32_bundle_id"] == full.metadata.bundle_id, (
        "derived from the pretrained bundle"
    )
    for name in ("", ".", "..", "mnist/", "x", "training", "./mnist-int8/q_encoder.onnx"):
        found = find_bundle(name)
        assert not found.is_absolute() or name == "mnist/"
    (tmp_path / "mnist").mkdir()
    assert not find_bundle("mnist").is_absolute(), "a folder of this name comes first"
