"""The limits of connections that uvicorn lacks: their number, and how long heads and responses may take."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from infogan_tool.cli.explorer.guard import Limits

# uvicorn logs invalid requests; without a handler, logging would print them on stderr.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class Connection(H11Protocol):
    """One connection. uvicorn waits without limit for a request's head and for its response to be read."""

    limits: ClassVar[Limits]
    head_timer: asyncio.TimerHandle | None = None
    unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or close it where there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused whenever a byte is not yet accepted
        if len(self.connections) > self.limits.connections:
            transport.close()
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers of a connection that ended."""
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the timer with the first part of a head; stop it once the head is whole."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self.head_timer is None:
            self._start_timer()

    def pause_writing(self) -> None:
        """Start the time for the client to read; it also runs while the connection waits to be closed."""
        super().pause_writing()
        self._stop_unread_timer()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        """Stop that time once everything is read."""
        self._stop_unread_timer()
        super().resume_writing()

    def _start_unread_timer(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self.unread_timer = self.loop.call_later(self.limits.timeout, self._abort_unread, unread)

    def _abort_unread(self, unread: int) -> None:
        """Abort a connection of which as much is unread as before; give another more time."""
        if self.transport.get_write_buffer_size() < unread:
            self._start_unread_timer()
        else:
            self.transport.abort()

    def _stop_unread_timer(self) -> None:
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _start_timer(self) -> None:
        self.head_timer = self.loop.call_later(self.limits.timeout, self._close_idle)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _close_idle(self) -> None:
        self.head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def connection_class(limits: Limits) -> type[Connection]:
    """Return a :class:`Connection` with ``limits``."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
