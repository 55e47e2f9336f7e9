"""Decoding, encoding and writing at the same time, in the order of the inputs.

A few chunks are on the way at any time, however many there are. onnxruntime runs in threads that need no lock
of Python's, decoding runs in processes, so the caller's thread is free to write.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from infogan_tool.runtime.bulk.decode.decoding import Decoded
from infogan_tool.runtime.bulk.decode.process_pool import DecodePool
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.runtime.inference.session import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import Format
    from infogan_tool.runtime.bundle.bundle import Bundle

    _Task = tuple[Chunk, Decoded, Format | None]
    """What an encoder's thread has to do."""

__all__ = ["encode_chunks"]

_A = TypeVar("_A")
_B = TypeVar("_B")

_DECODED_AHEAD: Final = 2
"""Chunks for each decoding process that wait for it or for the encoder."""
_GPU_THREADS: Final = 2
"""A GPU takes one batch at a time; the other thread has its pixels and records to see to."""
_ENCODED_AHEAD: Final = 3
"""Chunks beside those that are being encoded: the caller's thread has its turn now and then only."""


def encode_chunks(
    bundle: Bundle,
    chunks: Iterable[Chunk],
    *,
    raw: bool = False,
    processes: int | None = None,
    made: Format | None = None,
) -> Generator[Encoded]:
    """Encode chunks; close the iterator to stop early.

    Args:
        bundle: The bundle, opened with one thread.
        chunks: See :class:`infogan_tool.runtime.bulk.inputs.sources.Inputs`.
        raw: Leave images unpreprocessed but for their size.
        processes: Processes that decode; None is one for each core that this process may use.
        made: The format of the records that the encoders' threads make where that is the cheaper; see
            :meth:`infogan_tool.runtime.bulk.encode.encoded.Encoded.block`.

    Yields:
        Each chunk, in order.
    """
    count = processes or default_threads()
    # Several batches at once, each in one thread, keep the cores busier than one batch in several threads,
    # which wait for each other at every step of the graph.
    batches = count if bundle.provider == CPU_PROVIDER else _GPU_THREADS
    bundle.open_graphs([ENCODER_FILE])
    pool = DecodePool(count, bundle.image, raw=raw)
    encoder = ThreadPoolExecutor(batches, thread_name_prefix="encode")

    def decoded(chunk: Chunk) -> Future[_Task]:
        ready = chunk.ready(bundle.image, raw=raw)
        if ready is None:
            # The caller's thread reads small files too, and waits for every record that it makes itself. Of
            # arrays it has nothing to read: there the threads would only contend for Python's lock.
            return _with(chunk, pool.submit(chunk), made)
        done: Future[_Task] = Future()
        done.set_result((chunk, Decoded(ready, {}), None))
        return done

    def encoded(task: _Task) -> Future[Encoded]:
        return encoder.submit(encode_chunk, bundle, *task)

    try:
        yield from _ahead(encoded, _ahead(decoded, chunks, _DECODED_AHEAD * count), batches + _ENCODED_AHEAD)
    finally:
        pool.close()
        encoder.shutdown(cancel_futures=True)


def _with(chunk: Chunk, decoding: Future[Decoded], made: Format | None) -> Future[_Task]:
    task: Future[_Task] = Future()

    def settle(done: Future[Decoded]) -> None:
        if done.cancelled():
            task.cancel()
        elif (error := done.exception()) is not None:
            task.set_exception(error)
        else:
            task.set_result((chunk, done.result(), made))

    decoding.add_done_callback(settle)
    return task


def _ahead(start: Callable[[_A], Future[_B]], tasks: Iterable[_A], most: int) -> Iterator[_B]:
    """Start each task, at most ``most`` ahead of the one that is waited for; yield results in order."""
    pending: deque[Future[_B]] = deque()
    for task in tasks:
        pending.append(start(task))
        while pending and (len(pending) > most or pending[0].done()):
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
