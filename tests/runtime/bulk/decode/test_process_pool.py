"""Decoding in processes: the same arrays, and an image that kills its process is one failed image."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from waiting import wait_until

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode.decoding import Decoded, decode
from infogan_tool.runtime.bulk.decode.process_pool import DecodePool
from infogan_tool.runtime.bulk.encode import pipeline
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bulk.encode.pipeline import encode_chunks
from infogan_tool.runtime.bulk.inputs.chunks import CHUNK_IMAGES, BlobChunk, FileChunk
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.errors import InfoganError
from infogan_tool.runtime.inference.device import default_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bundle.bundle import Bundle

SPEC = load_bundle().image


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(path)
    (tmp_path / "4.png").write_bytes(b"no image")
    return [str(path) for path in paths]


@pytest.fixture(params=[1, 8], ids=["few cores", "many"])
def pool(request: pytest.FixtureRequest) -> Iterator[DecodePool]:
    made = DecodePool(request.param, SPEC, raw=True)
    yield made
    made.close()


def test_the_result_is_the_same_as_in_this_process(names: list[str], pool: DecodePool) -> None:
    chunk = FileChunk(names, {})
    found = pool.submit(chunk).result()
    expected = decode(names, names, SPEC, raw=True)
    assert np.array_equal(found.images, expected.images)
    assert found.failures == expected.failures
    assert list(found.failures) == [4]


def test_an_image_that_kills_its_process_is_one_failed_image(names: list[str], pool: DecodePool) -> None:
    content = [Path(name).read_bytes() for name in names]
    chunk = BlobChunk(names, [*content[:9], _Deadly(content[9] + b"so that it is not plain"), *content[10:]])
    found = pool.submit(chunk).result()
    assert found.failures.keys() == {4, 9}
    assert found.failures[9] == f"{names[9]}: damaged: its decoder crashed"
    expected = decode(names, names, SPEC, raw=True)
    assert np.array_equal(found.images, np.delete(expected.images, 8, axis=0))  # 4 is not among them
    again = pool.submit(FileChunk(names, {})).result()
    assert np.array_equal(again.images, expected.images)


class _Deadly(bytes):
    """An image whose arrival kills the process that unpickles it, as a decoder's crash would."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_die_elsewhere, (os.getpid(),))


def _die_elsewhere(parent: int) -> bytes:
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def test_closing_early_ends_the_processes(names: list[str]) -> None:
    bundle = load_bundle(device="cpu", threads=1)
    running = encode_chunks(bundle, (FileChunk(names, {}) for _ in range(1000)), processes=2)
    first = next(running)
    assert len(first.names) == 19
    children = _children(os.getpid())
    assert len(children) == 2
    running.close()
    assert not _children(os.getpid()) & children


def test_an_error_in_the_inputs_is_raised_and_ends_the_processes(names: list[str]) -> None:
    def chunks() -> Iterator[FileChunk]:
        yield FileChunk(names, {})
        raise InfoganError("the list broke")

    with pytest.raises(InfoganError, match="the list broke"):
        list(encode_chunks(load_bundle(device="cpu", threads=1), chunks(), processes=1))


def test_chunks_of_files_and_arrays_come_back_in_order(names: list[str], tmp_path: Path) -> None:
    bundle = load_bundle(device="cpu", threads=1)
    np.save(tmp_path / "many.npy", np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8))

    def chunks() -> Iterator[Chunk]:
        for _ in range(6):
            yield FileChunk(names, {})
        yield FileChunk(names[4:5], {})  # none of its images can be read
        yield from Inputs([str(tmp_path / "many.npy")], SPEC, column=None, stdin=None).chunks()

    given = list(chunks())
    encoded = list(encode_chunks(bundle, iter(given), raw=True, processes=2))
    assert [len(done.names) for done in encoded] == [19] * 6 + [0, 256, 44]
    for chunk, done in zip(given, encoded, strict=True):
        assert list(done.chunk.names) == list(chunk.names)
        decoded = decode(chunk.names, chunk.sources(), bundle.image, raw=True)
        assert done.failures.keys() == decoded.failures.keys()
        assert np.array_equal(done.images, decoded.images)
        assert np.array_equal(done.posterior.style_mean, bundle.encode(decoded.images).style_mean)


def test_arrays_are_encoded_in_a_thread_more_than_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = default_threads() + 1
    together = Barrier(threads, timeout=60)

    def encode(bundle: Bundle, chunk: Chunk, decoded: Decoded) -> Encoded:
        together.wait()  # raises unless all of them are called at once
        return encode_chunk(bundle, chunk, decoded)

    monkeypatch.setattr(pipeline, "encode_chunk", encode)
    np.save(tmp_path / "many.npy", np.zeros((threads * CHUNK_IMAGES, 28, 28), np.uint8))
    chunks = Inputs([str(tmp_path / "many.npy")], SPEC, column=None, stdin=None).chunks()
    done = list(encode_chunks(load_bundle(device="cpu", threads=1), chunks, raw=True))
    assert [len(encoded.names) for encoded in done] == [CHUNK_IMAGES] * threads


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_workers_end_with_a_run_that_is_killed(tmp_path: Path, names: list[str]) -> None:
    listing = tmp_path / "list"
    os.mkfifo(listing)  # a list that never ends keeps the run going
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--json"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as run,
    ):
        assert run.stdin is not None
        run.stdin.write("\n".join(names * 30).encode())
        run.stdin.flush()
        workers = wait_until(lambda: _children(run.pid))
        run.kill()
        run.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _children(pid: int) -> set[int]:
    """Return the decoding processes that ``pid`` started and that are alive."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and b"decode.worker" in command:
            found.add(int(status.parent.name))
    return found
