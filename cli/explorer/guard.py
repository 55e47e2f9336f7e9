"""What stands between the network and the page's answers: who may ask, how much, how often, how many."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from infogan_tool.cli.explorer.description import content_policy
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_TYPE", "Guard", "Limits"]

BODY_TYPE: Final = "application/octet-stream"
"""Every body is sent as this, which a page of another site cannot do without being asked first."""

_HEADERS: Final = {
    "content-security-policy": f"{content_policy('server')}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much the server takes."""

    body: int = 16 << 20
    """Bytes of one request's body."""
    rate: float = 400.0
    """Requests a second from one address, over time."""
    burst: float = 800.0
    """Requests from one address that may come at once."""
    waiting: int = 64
    """Requests that may be under way together; the next is told to come back."""
    patience: float = 10.0
    """Seconds that a request's head may take to arrive, and its body; and part of an answer to be taken."""
    connections: int = 256
    """Connections at once; the next is closed."""
    addresses: int = 1024
    """Addresses whose rate is remembered."""


class _Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """Wrap an ASGI application in limits and headers; what goes wrong inside is one line, never a traceback.

    Args:
        app: What answers.
        hosts: Host names that the page may be asked for by; None takes any. A site that points its own name
            at this machine is refused by it.
        limits: How much is taken.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str] | None, limits: Limits) -> None:
        self._app = app
        self._hosts = hosts
        self._limits = limits
        self._under_way = 0
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(_HEADERS)
            async with asyncio.timeout(self._limits.patience):
                await send(message)

        self._under_way += 1
        try:
            self._check(scope)
            await self._app(scope, await self._body(scope, receive), send_with_headers)
        except _Refusal as refusal:
            response = JSONResponse({"error": str(refusal)}, refusal.status, {"connection": "close"})
            await response(scope, receive, send_with_headers)
        except TimeoutError:
            pass  # whoever asked does not take the answer; the connection is closed
        except Exception as error:  # noqa: BLE001 - this is where every error of a request ends
            print(f"internal error: {printable(f'{type(error).__name__}: {error}')}", file=sys.stderr)
            if not started:
                response = JSONResponse({"error": "something went wrong here"}, 500)
                await response(scope, receive, send_with_headers)
        finally:
            self._under_way -= 1

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._hosts is not None and _host_name(headers.get("host", "")) not in self._hosts:
            raise _Refusal(421, "this address is not one that the page is served under")
        if self._under_way > self._limits.waiting:
            raise _Refusal(503, "too many requests at once")
        if not self._take_token(scope["client"][0] if scope.get("client") else ""):
            raise _Refusal(429, "too many requests a second")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise _Refusal(405, "only GET and POST are answered")
        if scope["method"] == "POST" and headers.get("content-type") != BODY_TYPE:
            raise _Refusal(415, f"a body is {BODY_TYPE}")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limits.body:
            raise _Refusal(413, f"at most {self._limits.body:,} bytes are taken")

    def _take_token(self, address: str) -> bool:
        now, limits = time.monotonic(), self._limits
        tokens, when = self._tokens.pop(address, (limits.burst, now))
        tokens = min(limits.burst, tokens + (now - when) * limits.rate)
        self._tokens[address] = (max(tokens - 1, 0), now)
        if len(self._tokens) > limits.addresses:
            self._tokens.popitem(last=False)
        return tokens >= 1

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """Take in the whole body, in time and within its limit, and return what hands it on."""
        if scope["method"] != "POST":
            return receive
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._limits.patience):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refusal(400, "the connection was closed")
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > self._limits.body:
                        raise _Refusal(413, f"at most {self._limits.body:,} bytes are taken")
        except TimeoutError:
            raise _Refusal(408, "the body took too long") from None
        whole = b"".join(parts)
        handed_on = False

        async def replay() -> Message:
            nonlocal handed_on
            if handed_on:
                return await receive()
            handed_on = True
            return {"type": "http.request", "body": whole, "more_body": False}

        return replay


def _host_name(host: str) -> str:
    """Return the name of a Host header without its port, in small letters."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[").lower()
    return host.partition(":")[0].lower()
