"""A large batch in pieces, several at once, each in one thread.

On a processor this keeps the cores busier than one batch in several threads, which wait for each other at
every step of the graph, and what a piece needs stays in a core's own cache. A row's result does not depend on
the piece that it is in.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["PIECE", "ShardPool", "cut"]

PIECE: Final = 64
"""Most rows of a piece."""
_LEAST: Final = 16
"""Fewer rows would cost more to hand over than they gain."""


def cut(count: int, hands: int) -> list[slice]:
    """Cut ``count`` rows into pieces of about the same size, as many for each of ``hands``."""
    turns = -(-count // (PIECE * hands))
    step = max(_LEAST, -(-count // max(1, turns * hands)))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


class ShardPool:
    """Threads that share out the pieces of a batch; usable from several threads at once.

    Args:
        hands: How many pieces are worked on at once; 1 is the caller alone.
    """

    def __init__(self, hands: int) -> None:
        self.hands = hands
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def each(self, work: Callable[[slice], None], pieces: Sequence[slice]) -> None:
        """Call ``work`` with each piece; it raises what the first piece that fails raises."""
        left, failed = deque(pieces), dict[int, BaseException]()

        def take() -> None:
            while not failed:
                try:
                    piece = left.popleft()
                except IndexError:
                    return
                try:
                    work(piece)
                except BaseException as error:  # noqa: BLE001 - raised below
                    failed[piece.start] = error

        helpers = [self._threads().submit(take) for _ in range(min(self.hands, len(pieces)) - 1)]
        take()
        for helper in helpers:
            if not helper.cancel():
                helper.result()
        if failed:
            # Pieces are taken in order, so whatever the threads do, the first that fails is among these.
            raise failed[min(failed)]

    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for a handful of images

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.hands - 1, thread_name_prefix="piece")
            return self._pool
