"""Decoding in several processes, because Pillow holds Python's lock for most of the time of a small image.

With few cores, small grey PNG files are read in the caller's thread: that is cheaper than sending them to a
process, and no process is started if there are no other files. A separate thread would contend with the
caller's for Python's lock at every file.

The processes are started as commands, not forked, which is safe with threads and onnxruntime. They are in
process groups of their own, so Ctrl-C does not reach them. An image that makes its process crash, or exceeds
the time limit, is one failed image.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.bulk.decode.deadline import SECONDS, TimedReader, timeout_message
from infogan_tool.runtime.bulk.decode.decoding import Decoded, find_plain, no_images
from infogan_tool.runtime.errors import InfoganError
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime.bulk.decode.decoding import Plain, Source
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.images.spec import ImageSpec

_MAX_READ_HERE: Final = 3
"""With more processes, one reading thread could not keep as many encoders busy."""
_BROKEN = (OSError, EOFError, ValueError, pickle.UnpicklingError)
"""Exceptions of a pipe that is closed at either end."""


class DecodePool:
    """Processes that decode chunks in parallel.

    Args:
        processes: Number of processes, at least 1.
        spec: The bundle's image spec.
        raw: Pad and resize, without other preprocessing.
        seconds: Time limit of one image.
    """

    def __init__(self, processes: int, spec: ImageSpec, *, raw: bool, seconds: float = SECONDS) -> None:
        self._spec = spec
        self._raw = raw
        self._read_here = processes <= _MAX_READ_HERE
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process(spec, raw=raw, each=self._read_here, seconds=seconds) for _ in range(processes)]
        for process in self._all:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")

    def submit(self, chunk: Chunk) -> Future[Decoded]:
        """Decode a chunk; the result raises InfoganError if no process can be started."""
        if not self._read_here:
            return self._threads.submit(lambda: self._decode(list(chunk.names), list(chunk.sources())))
        sources = list(chunk.sources())
        plain = find_plain(sources, self._spec, raw=self._raw)
        if plain.left:
            return self._threads.submit(self._decode_left, list(chunk.names), plain)
        done: Future[Decoded] = Future()
        done.set_result(Decoded(plain.images, {}))
        return done

    def close(self) -> None:
        """End the processes, even while they decode."""
        for process in self._all:
            process.kill(for_good=True)
        self._threads.shutdown(cancel_futures=True)

    def _decode_left(self, names: Sequence[str], plain: Plain) -> Decoded:
        left = [names[index] for index in plain.left]
        return plain.with_others(self._decode(left, list(plain.left.values())))

    def _decode(self, names: Sequence[str], sources: Sequence[Source]) -> Decoded:
        process = self._idle.get()
        try:
            return process.decode(names, sources)
        except _DiedError:
            return _one_by_one(process, names, sources)
        finally:
            self._idle.put(process)


def _one_by_one(process: _Process, names: Sequence[str], sources: Sequence[Source]) -> Decoded:
    """Decode, image by image, a chunk that made its process crash; only the images that do so fail."""
    images, failures = [no_images(process.spec)], {}
    for index, (name, source) in enumerate(zip(names, sources, strict=True)):
        try:
            decoded = process.decode([name], [source])
        except _DiedError as error:
            failures[index] = (
                timeout_message(printable(name), process.seconds)
                if error.args == (TimedReader.timeout_code,)
                else f"{printable(name)}: damaged: its decoder crashed"
            )
            continue
        if decoded.failures:
            failures[index] = decoded.failures[0]
        images.append(decoded.images)
    return Decoded(np.concatenate(images), failures)


class _DiedError(Exception):
    """The process ended without a result; the argument is its return code."""


class _Process:
    """One process, started when it is first needed, and again after it has died."""

    def __init__(self, spec: ImageSpec, *, raw: bool, each: bool, seconds: float) -> None:
        self.spec = spec
        self.seconds = seconds
        self._settings = (spec, raw, each, seconds)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = Lock()

    def decode(self, names: Sequence[str], sources: Sequence[Source]) -> Decoded:
        """Send a chunk and wait for its images.

        Raises:
            _DiedError: The process died.
            InfoganError: The process cannot be started.
        """
        if self._process is None:
            self._start()
        try:
            decoded: Decoded = self._exchange((names, sources))
        except _BROKEN as error:
            raise _DiedError(self.kill()) from error
        return decoded

    def kill(self, *, for_good: bool = False) -> int | None:
        """End the process and return its code; with ``for_good`` it is not started again."""
        with self._lock:
            self._closed |= for_good
            process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError, ValueError):  # another thread may be using it
                if pipe is not None:
                    pipe.close()
        return process.returncode

    def _start(self) -> None:
        # The same modules as here, not those of the current folder, which may be untrusted.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from infogan_tool.runtime.bulk.decode.worker import main; main()"
        )
        with self._lock:
            if self._closed:
                raise InfoganError("images cannot be decoded: the processes for it are closed")
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0 if os.name == "posix" else None,
            )
        try:
            self._exchange(self._settings)
        except _BROKEN as error:
            self.kill()
            raise InfoganError(
                "no process can be started to decode images: see infogan-tool doctor"
            ) from error

    def _exchange(self, message: object) -> Any:  # noqa: ANN401 - as the message
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError  # closed by another thread
        pickle.dump(message, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        process.stdin.flush()
        return pickle.load(process.stdout)  # noqa: S301 - written by our own process
