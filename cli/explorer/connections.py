"""Connections of the server: not too many at once, and none kept open by a request that never comes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from infogan_tool.cli.explorer.guard import Limits

__all__ = ["Connection", "connection_class"]

# What strangers send is no news for the terminal, and without any handler it would be printed there.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class Connection(H11Protocol):
    """One connection. The guard sees a request only once its head is whole; until then, this watches."""

    limits: ClassVar[Limits]
    waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are enough."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.close()
        else:
            self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self.stop_watching()
        elif self.waiting is None:  # the first part of another head on the same connection
            self.watch()

    def watch(self) -> None:
        """Begin to wait for the head of a request."""
        self.waiting = self.loop.call_later(self.limits.patience, self.give_up)

    def stop_watching(self) -> None:
        """Stop waiting: it has come."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def give_up(self) -> None:
        """Close a connection on which none has come."""
        self.waiting = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def connection_class(limits: Limits) -> type[Connection]:
    """Return the protocol of a connection that keeps to ``limits``."""
    return type("LimitedConnection", (Connection,), {"limitations": limits})
