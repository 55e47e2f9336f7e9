"""The web server of the pages, on this machine."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio.to_thread
import uvicorn
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infogan_tool.cli.explorer.api import encode, generate, save_names
from infogan_tool.cli.explorer.connections import connection_class
from infogan_tool.cli.explorer.description import (
    PAGE,
    PAGE_FILES,
    PAGE_TYPES,
    describe,
    examples_png,
    noise_bytes,
)
from infogan_tool.cli.explorer.guard import BODY_TYPE, Guard, Limits, read_body, refusal
from infogan_tool.cli.explorer.watch import KINDS
from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE
from infogan_tool.runtime.errors import InfoganError, UsageError
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from infogan_tool.cli.explorer.data_set import DataSet
    from infogan_tool.cli.explorer.watch import WatchedRun
    from infogan_tool.runtime import Bundle

_WORKERS: Final = 2
"""Requests that are computed at the same time."""
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_ANY_NAME: Final = ("*",)
_DEFAULT_PORT: Final = 8421
_PORT_ERRORS: Final = (errno.EADDRINUSE, errno.EACCES)
_SEND_BUFFER: Final = 1 << 16
"""Bytes that the system holds for a client; with megabytes, one that reads slowly seems to read nothing."""
_STEP: Final = re.compile(r"\d{1,15}", re.ASCII)
_NO_FILE: Final = "there is no such file"


def make_app(
    bundles: Sequence[Bundle],
    *,
    data: DataSet | None = None,
    naming: bool = False,
    hosts: Sequence[str] = _LOOPBACK_NAMES,
    limits: Limits | None = None,
) -> ASGIApp:
    """Return the application: the page's files, the description of the bundles, and its requests.

    Args:
        bundles: One, or two to compare.
        data: Images of a folder to show, encoded by the first bundle.
        naming: Whether the page may write names into a bundle that is not part of the installation.
        hosts: Host names of its address. A site that points a name of its own at this machine is refused.
        limits: Its limits; None for the defaults.
    """
    limits = limits or Limits()
    workers = CapacityLimiter(_WORKERS)

    def post(path: str, respond: Callable[[bytes, Request], Response]) -> Route:
        async def on_post(request: Request) -> Response:
            work = partial(respond, await read_body(request, limits), request)
            return await anyio.to_thread.run_sync(work, limiter=workers)

        return Route(path, on_post, methods=["POST"])

    async def on_model(_request: Request) -> Response:  # names may have changed since the last request
        return JSONResponse(describe(bundles, "server", data=data is not None, naming=naming))

    routes = [Route("/model.json", on_model, methods=["GET"])]
    if data is not None:
        routes += [
            _get("/data.json", data.table, "application/json"),
            _get("/data.bin", data.pixels, BODY_TYPE),
        ]
    for index, bundle in enumerate(bundles):
        folder = f"/bundles/{index}"
        if (examples := examples_png(bundle)) is not None:
            routes.append(_get(f"{folder}/{EXAMPLES_FILE}", examples, "image/png"))
        routes += [
            _get(f"{folder}/noise.bin", noise_bytes(bundle), BODY_TYPE),
            post(f"{folder}/generate", partial(_generate, bundle)),
            post(f"{folder}/encode", partial(_encode, bundle)),
            *([post(f"{folder}/names", partial(_save_names, bundle))] if naming else []),
        ]
    return _application(routes, "index.html", hosts, limits)


def make_watch_app(run: WatchedRun, *, hosts: Sequence[str] = _LOOPBACK_NAMES) -> ASGIApp:
    """Return the application that shows a training: it reads the run folder and writes nothing.

    Args:
        run: The run.
        hosts: As in :func:`make_app`.
    """
    workers = CapacityLimiter(_WORKERS)

    def get(path: str, media_type: str, read: Callable[[Request], bytes | None]) -> Route:
        async def on_get(request: Request) -> Response:
            content = await anyio.to_thread.run_sync(read, request, limiter=workers)
            return refusal(404, _NO_FILE) if content is None else Response(content, 200, None, media_type)

        return Route(path, on_get, methods=["GET"])

    def sheet(kind: str) -> Callable[[Request], bytes | None]:
        return lambda request: run.sheet(kind, _step(request))

    routes = [
        get("/run.json", "application/json", lambda _: run.describe()),
        get("/effects/{step}.json", "application/json", lambda request: run.effects(_step(request))),
        *(get(f"/{kind}/{{step}}.png", "image/png", sheet(kind)) for kind in KINDS),
    ]
    return _application(routes, "watch.html", hosts, Limits())


def _application(routes: list[Route], index: str, hosts: Sequence[str], limits: Limits) -> ASGIApp:
    """Return the application of some routes and the page's files, with ``index`` at its root."""

    async def on_error(_request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return refusal(error.status_code, error.detail)
        if isinstance(error, InfoganError):
            return JSONResponse({"error": str(error)}, 422)
        return refusal(500, "internal error")

    files = {f"/{name}": name for name in PAGE_FILES} | {"/": index}
    routes = [
        *(
            _get(path, (PAGE / name).read_bytes(), PAGE_TYPES[Path(name).suffix])
            for path, name in files.items()
        ),
        *routes,
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers=dict.fromkeys((InfoganError, HTTPException, Exception), on_error),
    )
    return Guard(app, limits)


def _step(request: Request) -> int:
    step: str = request.path_params["step"]
    if not _STEP.fullmatch(step):
        raise HTTPException(404, _NO_FILE)
    return int(step)


def listen(host: str, port: int | None) -> socket.socket:
    """Open a listening socket.

    Args:
        host: A host name or address of this machine.
        port: 0 is any free port. None is 8421, or any free port where that is in use.

    Raises:
        UsageError: The host is not an address of this machine, or the port is in use or not allowed.
    """
    if port is None:
        try:
            return listen(host, _DEFAULT_PORT)
        except UsageError:
            port = 0
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        raise UsageError(f"--host {printable(host)}: {reason}") from error
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where REUSEADDR would share a port in use
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno in _PORT_ERRORS:
            raise UsageError(
                f"--host {host} --port {port}: {error.strerror}; --port 0 selects a free one"
            ) from error
        raise UsageError(f"--host {host}: {error.strerror}") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL of the page at a socket."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine can connect to a socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


class _Server(uvicorn.Server):
    """Calls a function once it serves; from then on uvicorn handles Ctrl-C."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


def make_server(
    app: ASGIApp, on_started: Callable[[], object] = lambda: None, *, limits: Limits | None = None
) -> uvicorn.Server:
    """Return the server of an application: HTTP only, without logs, quick to shut down.

    Args:
        app: See :func:`make_app`.
        on_started: Called once the server accepts requests.
        limits: Its limits; None for the defaults.
    """
    limits = limits or Limits()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=connection_class(limits),
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limits.concurrency + 1,  # uvicorn counts the connection of the request itself
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, on_started)


def serve(
    make: Callable[[Sequence[str]], ASGIApp], listener: socket.socket, on_started: Callable[[], object]
) -> None:
    """Serve a page at a socket until the process is told to end; closes the socket.

    In another thread than the main one it serves until the process ends.

    Args:
        make: Returns the application for the host names of its address.
        listener: See :func:`listen`.
        on_started: Called once the server accepts requests.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the server has shut down.
    """
    own = urlsplit(address_of(listener)).netloc.rpartition(":")[0]
    hosts = (*_LOOPBACK_NAMES, own) if is_loopback(listener) else _ANY_NAME
    with listener:
        make_server(make(hosts), on_started).run(sockets=[listener])


def _get(path: str, content: bytes, media_type: str) -> Route:
    async def on_get(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, on_get, methods=["GET"])


def _generate(bundle: Bundle, body: bytes, _request: Request) -> Response:
    return Response(generate(bundle, body), media_type=BODY_TYPE)


def _save_names(bundle: Bundle, body: bytes, request: Request) -> Response:
    # The type of the body refuses pages of other sites already; browsers also say where a request comes from.
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, "only the page itself may name codes")
    save_names(bundle, body)
    return JSONResponse({})


def _encode(bundle: Bundle, body: bytes, request: Request) -> Response:
    return JSONResponse(encode(bundle, body, raw=request.query_params.get("raw") == "1"))
