"""The limits of requests, beyond those of Starlette and uvicorn: rate, methods and body."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from infogan_tool.cli.explorer.description import content_policy
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_TYPE: Final = "application/octet-stream"
"""The content type of every body. A page of another site cannot send it without a CORS preflight."""

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
    """The limits of the server."""

    body: int = 16 << 20
    """Bytes of one request's body."""
    rate: float = 400.0
    """Requests a second from one address, on average."""
    burst: float = 800.0
    """Requests from one address at once."""
    concurrency: int = 64
    """Connections from which more requests are answered with 503."""
    timeout: float = 10.0
    """Seconds for a request's head to arrive, for its body, and for the client to read more of a response."""
    connections: int = 256
    """Connections at once; further ones are closed."""
    addresses: int = 1024
    """Addresses whose rate is stored."""


class Guard:
    """Wrap an ASGI application in limits and headers; an error inside is one line, never a traceback."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self._app
        if not self._take_token(scope["client"][0] if scope.get("client") else ""):
            app = refusal(429, "too many requests a second")
        elif scope["method"] not in ("GET", "HEAD", "POST"):
            app = refusal(405, "only GET and POST are supported")
        try:
            await app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - every error of a request ends here, after its response
            print(f"internal error: {printable(f'{type(error).__name__}: {error}')}", file=sys.stderr)

    def _take_token(self, address: str) -> bool:
        """Take a token of an address's bucket; return whether there was one."""
        now, limits = time.monotonic(), self._limits
        tokens, when = self._tokens.pop(address, (limits.burst, now))
        tokens = min(limits.burst, tokens + (now - when) * limits.rate)
        self._tokens[address] = (max(tokens - 1, 0), now)
        if len(self._tokens) > limits.addresses:
            self._tokens.popitem(last=False)
        return tokens >= 1


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: The body has another type, is too long, takes too long, or never ends.
    """
    if request.headers.get("content-type") != BODY_TYPE:
        raise HTTPException(415, f"a body is {BODY_TYPE}")
    length = request.headers.get("content-length", "0")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.timeout):
            if length.isdecimal() and int(length) <= limits.body:
                async for part in request.stream():
                    body += part
                    if len(body) > limits.body:
                        break
                else:
                    return bytes(body)
    except TimeoutError:
        raise HTTPException(408, "the body took too long") from None
    raise HTTPException(413, f"a body has at most {limits.body:,} bytes")


def refusal(status: int, message: str) -> JSONResponse:
    """Return the response to a request that is refused; the connection is closed after it."""
    return JSONResponse({"error": message}, status, {"connection": "close"})
