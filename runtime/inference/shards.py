"""Split a batch into shards and run them on a thread pool.

On a CPU, several shards in one thread each are faster than one batch in several threads: those wait for each
other at every node of the graph, and a shard's activations fit the cache of one core. The result of a row
does not depend on its shard.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

BATCH_ROWS: Final = 256
"""Most images of a batch, so that memory does not grow with their number."""
SHARD_ROWS: Final = 64
"""Most rows of a shard on the CPU."""
_MIN_ROWS: Final = 16
"""Smaller shards cost more to hand over than they gain."""


def split(count: int, workers: int = 1, *, rows: int = SHARD_ROWS) -> list[slice]:
    """Split ``count`` rows into shards of about equal size, the same number of shards for each worker.

    Args:
        count: Number of rows; 0 gives no shard.
        workers: How many shards run at once.
        rows: Most rows of a shard.
    """
    turns = -(-count // (rows * workers))
    step = max(_MIN_ROWS, -(-count // max(1, turns * workers)))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


class ShardPool:
    """A thread pool for the shards of a batch; usable from several threads at once.

    Args:
        workers: How many shards run at once, the calling thread included; 1 starts no thread.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def run(self, work: Callable[[slice], None], shards: Sequence[slice]) -> None:
        """Call ``work`` on each shard; if calls fail, raise the error of the first such shard."""
        waiting, failed = deque(shards), dict[int, BaseException]()

        def take() -> None:
            while not failed:
                try:
                    shard = waiting.popleft()
                except IndexError:
                    return
                try:
                    work(shard)
                except BaseException as error:  # noqa: BLE001 - raised below
                    failed[shard.start] = error

        helpers = [self._executor().submit(take) for _ in range(min(self.workers, len(shards)) - 1)]
        take()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
        if failed:
            # Shards are started in order, so the first one that fails is always among these.
            raise failed[min(failed)]

    def _executor(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for a few images

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.workers - 1, thread_name_prefix="shard")
            return self._pool
