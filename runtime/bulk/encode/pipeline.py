"""Decoding and encoding at the same time, in the order of the inputs.

Decoding runs in processes, onnxruntime in threads that do not hold Python's lock, so the caller's thread is
free to write. The number of chunks in the pipeline is bounded.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from infogan_tool.runtime.bulk.decode.decoding import Decoded
from infogan_tool.runtime.bulk.decode.process_pool import DecodePool
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.runtime.inference.session import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bundle.bundle import Bundle

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_DECODED_AHEAD: Final = 2
"""Chunks per decoding process that are being decoded or wait for the encoder."""
_GPU_THREADS: Final = 2
"""A GPU runs one batch at a time; the other thread prepares its input and reads its output."""
_ENCODED_AHEAD: Final = 3
"""Encoded chunks that may wait for the caller."""


def encode_chunks(
    bundle: Bundle, chunks: Iterable[Chunk], *, raw: bool = False, processes: int | None = None
) -> Generator[Encoded]:
    """Encode chunks in order; close the generator to stop early.

    Args:
        bundle: The bundle, opened with one thread.
        chunks: See :class:`infogan_tool.runtime.bulk.inputs.sources.Inputs`.
        raw: Pad and resize images, without other preprocessing.
        processes: Number of decoding processes; None: one per core that this process may use.
    """
    count = processes or default_threads()
    bundle.open_graphs([ENCODER_FILE])
    chunks = iter(chunks)
    first = list(islice(chunks, 1))
    batches = _batches(bundle, first, count, raw=raw)
    pool = DecodePool(count, bundle.image, raw=raw)
    encoder = ThreadPoolExecutor(batches, thread_name_prefix="encode")

    def decode(chunk: Chunk) -> Future[Decoded]:
        ready = chunk.ready(bundle.image, raw=raw)
        if ready is None:
            return pool.submit(chunk)
        done: Future[Decoded] = Future()
        done.set_result(Decoded(ready, {}))
        return done

    def encode(task: tuple[Chunk, Decoded]) -> Future[Encoded]:
        return encoder.submit(encode_chunk, bundle, *task)

    try:
        decoded = _run_ahead(decode, chain(first, chunks), _DECODED_AHEAD * count)
        for _, encoded in _run_ahead(encode, decoded, batches + _ENCODED_AHEAD):
            yield encoded
    finally:
        pool.close()
        encoder.shutdown(cancel_futures=True)


def _batches(bundle: Bundle, first: Sequence[Chunk], count: int, *, raw: bool) -> int:
    """Return how many batches are encoded at once, each in a thread of its own.

    Several batches, each in one thread, use the cores better than one batch in several threads, which wait
    for each other after every operation. Where all cores may be used and the caller's thread has little to
    do, as with arrays that need no decoding, one more keeps a core busy while a thread waits for Python's
    lock.
    """
    if bundle.provider != CPU_PROVIDER:
        return _GPU_THREADS
    is_array = any(chunk.ready(bundle.image, raw=raw) is not None for chunk in first)
    return count + (is_array and count >= default_threads())


def _run_ahead(
    start: Callable[[_Task], Future[_Result]], tasks: Iterable[_Task], limit: int
) -> Iterator[tuple[_Task, _Result]]:
    """Start up to ``limit`` tasks ahead; yield each task with its result, in order."""
    pending: deque[tuple[_Task, Future[_Result]]] = deque()
    for task in tasks:
        pending.append((task, start(task)))
        while pending and (len(pending) > limit or pending[0][1].done()):
            first, future = pending.popleft()
            yield first, future.result()
    while pending:
        first, future = pending.popleft()
        yield first, future.result()
