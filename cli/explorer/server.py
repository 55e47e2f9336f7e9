"""The page answered on this machine, through the runtime."""

from __future__ import annotations

import ipaddress
import json
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
import uvicorn
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infogan_tool.cli.explorer.api import draw, read
from infogan_tool.cli.explorer.connections import connection_class
from infogan_tool.cli.explorer.description import PAGE, PAGE_FILES, describe, noise_bytes
from infogan_tool.cli.explorer.guard import Guard, Limits
from infogan_tool.runtime.errors import InfoganError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from infogan_tool.runtime import Bundle

__all__ = ["address_of", "is_loopback", "listen", "make_app", "make_server", "serve"]

_AT_ONCE: Final = 2
"""Answers that are computed at the same time; the others wait their turn."""
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_USUAL_PORT: Final = 8421
_BYTES: Final = "application/octet-stream"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def make_app(
    bundles: Sequence[Bundle], *, hosts: frozenset[str] | None = _LOOPBACK_NAMES, limits: Limits | None = None
) -> ASGIApp:
    """Return the application: the page's files, what it is told of the bundles, and its two questions.

    Args:
        bundles: One, or two to compare.
        hosts: Host names that it may be asked for by; None takes any.
        limits: How much it takes; None for the defaults.
    """
    turn = CapacityLimiter(_AT_ONCE)

    async def on_refusal(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    routes = [
        _fixed(f"/{name}", (PAGE / name).read_bytes(), _TYPES[Path(name).suffix]) for name in PAGE_FILES
    ]
    routes.append(_fixed("/", (PAGE / "index.html").read_bytes(), _TYPES[".html"]))
    told = json.dumps(describe(bundles, "server"), allow_nan=False).encode()
    routes.append(_fixed("/model.json", told, "application/json"))
    for index, bundle in enumerate(bundles):
        place = f"/bundles/{index}"
        routes.append(_fixed(f"{place}/noise.bin", noise_bytes(bundle), _BYTES))
        routes.append(Route(f"{place}/draw", _on_draw(bundle, turn), methods=["POST"]))
        routes.append(Route(f"{place}/read", _on_read(bundle, turn), methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={InfoganError: on_refusal})
    return Guard(app, hosts=hosts, limits=limits or Limits())


def listen(host: str, port: int | None) -> socket.socket:
    """Take an address to answer at.

    Args:
        host: A host name or address of this machine.
        port: 0 is any free one. None is the usual one, or any free one where that is taken.

    Raises:
        UsageError: The host is not of this machine, or the port is taken or not allowed.
    """
    if port is None:
        try:
            return listen(host, _USUAL_PORT)
        except UsageError:
            port = 0
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror}") from error
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where REUSEADDR would share a port in use
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()
    except OSError as error:
        taken.close()
        raise UsageError(
            f"--host {host} --port {port}: {error.strerror}; --port 0 takes a free one"
        ) from error
    return taken


def address_of(taken: socket.socket) -> str:
    """Return the URL that the page has at a socket."""
    host, port = taken.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if taken.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(taken: socket.socket) -> bool:
    """Say whether only this machine reaches a socket."""
    return ipaddress.ip_address(taken.getsockname()[0]).is_loopback


class _Server(uvicorn.Server):
    """Tells when it answers; from then on Ctrl-C is its own business, whenever it comes."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


def make_server(
    app: ASGIApp, started: Callable[[], object] = lambda: None, *, limits: Limits | None = None
) -> uvicorn.Server:
    """Return what serves the application: quiet, HTTP alone, and soon at its end when told to end.

    Args:
        app: See :func:`make_app`.
        started: Called once the server answers.
        limits: How many connections it takes, and how long they may be silent; None for the defaults.
    """
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http=connection_class(limits or Limits()),
            loop="asyncio",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
        ),
        started,
    )


def serve(bundles: Sequence[Bundle], taken: socket.socket, started: Callable[[], object]) -> None:
    """Answer at a socket until the process is told to end; closes the socket.

    Args:
        bundles: One, or two to compare.
        taken: See :func:`listen`.
        started: Called once the server answers.

    Raises:
        KeyboardInterrupt: It was told by Ctrl-C; all has been ended in order.
    """
    hosts = _LOOPBACK_NAMES if is_loopback(taken) else None
    with taken:
        make_server(make_app(bundles, hosts=hosts), started).run(sockets=[taken])


def _fixed(path: str, content: bytes, media_type: str) -> Route:
    async def on_get(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, on_get, methods=["GET"])


def _on_draw(bundle: Bundle, turn: CapacityLimiter) -> Callable[[Request], Any]:
    async def on_draw(request: Request) -> Response:
        work = partial(draw, bundle, await request.body())
        return Response(await anyio.to_thread.run_sync(work, limiter=turn), media_type=_BYTES)

    return on_draw


def _on_read(bundle: Bundle, turn: CapacityLimiter) -> Callable[[Request], Any]:
    async def on_read(request: Request) -> Response:
        raw = request.query_params.get("raw") == "1"
        work = partial(read, bundle, await request.body(), raw=raw)
        return JSONResponse(await anyio.to_thread.run_sync(work, limiter=turn))

    return on_read
