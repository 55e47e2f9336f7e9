"""The limits of the server's requests, over a real connection."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_until

from infogan_tool.cli.explorer.description import PAGE, PAGE_FILES, content_policy
from infogan_tool.cli.explorer.guard import BODY_TYPE, Limits
from infogan_tool.cli.explorer.server import make_app, make_server, make_watch_app
from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

TINY = Path(__file__).resolve().parents[1] / "fixtures" / "tiny"
ROWS = bytes(40)
"""One image of the tiny bundle."""


@contextmanager
def serving(app: ASGIApp, limits: Limits | None = None) -> Iterator[int]:
    """Serve an application from this process; yield its port."""
    server = make_server(app, limits=limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so that unread responses are noticed
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        server.should_exit = True
        thread.join(300)
        assert not thread.is_alive()


@contextmanager
def serving_tiny(tiny: Path, **limits: float) -> Iterator[int]:
    given = Limits(**limits)
    with serving(make_app([load_bundle(tiny, device="cpu")], limits=given), given) as port:
        yield port


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a server with the limits that it has by default."""
    with serving_tiny(TINY) as opened:
        yield opened


def send(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    """Return the status, and the error where the server names one."""
    given = {"content_type": BODY_TYPE, **headers}
    status, received, content = send(port, "POST", path, body, **given)
    refused = status != 200 and received["content-type"] == "application/json"
    return status, json.loads(content)["error"] if refused else ""


def test_every_file_of_the_page_is_served_with_its_headers(port: int) -> None:
    for name in ("", *PAGE_FILES, "model.json", "bundles/0/noise.bin"):
        status, headers, content = send(port, "GET", f"/{name}")
        assert status == 200, name
        assert content
        assert headers["content-security-policy"].startswith(content_policy("server"))
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    for name in (
        "../server.py",
        "types.d.ts",
        "%2e%2e/server.py",
        "bundles/1/noise.bin",
        "bundles/0/generator.onnx",
    ):
        assert send(port, "GET", f"/{name}")[0] == 404, name


def test_the_page_has_no_inline_script_and_no_unlisted_file() -> None:
    assert {path.name for path in PAGE.iterdir()} == {*PAGE_FILES, "types.d.ts"}
    html = "".join((PAGE / name).read_text("utf-8") for name in ("index.html", "watch.html"))
    for word in ("style=", "onclick", "<script>", "<style", "http:", "https:"):
        assert word not in html


def test_requests_are_answered(port: int) -> None:
    status, headers, content = send(port, "POST", "/bundles/0/generate", ROWS, content_type=BODY_TYPE)
    assert (status, headers["content-type"], len(content)) == (200, BODY_TYPE, 16 * 16 * 3)
    assert post(port, "/bundles/0/generate", ROWS[1:]) == (
        422,
        "a request holds 1 to 256 rows of 10 float32 values",
    )
    status, reason = post(port, "/bundles/0/encode", b"nothing")
    assert (status, "known format" in reason) == (422, True)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"content_type": "text/plain"}, 415),
        ("POST", {}, 415),
        ("POST", {"content_type": BODY_TYPE, "host": "evil.example"}, 400),
        ("GET", {"host": "evil.example:80"}, 400),
        ("POST", {"content_type": BODY_TYPE, "host": "localhost.evil.example"}, 400),
        ("POST", {"content_type": BODY_TYPE, "host": "LOCALHOST:80"}, 200),
        ("PUT", {"content_type": BODY_TYPE}, 405),
        ("OPTIONS", {"origin": "http://evil.example"}, 405),
        ("GET", {"host": "localhost:1"}, 405),
        ("POST", {"content_type": BODY_TYPE, "host": "[::1]:80"}, 200),
    ],
)
def test_requests_of_other_sites_are_refused(
    port: int, method: str, headers: dict[str, str], status: int
) -> None:
    found, given, content = send(port, method, "/bundles/0/generate", ROWS, **headers)
    assert found == status
    assert "access-control-allow-origin" not in given
    assert b"Traceback" not in content


def test_a_body_has_a_limit_with_and_without_a_content_length(tiny: Path) -> None:
    with serving_tiny(tiny, body=1000) as port:
        assert post(port, "/bundles/0/generate", bytes(1001)) == (413, "a body has at most 1,000 bytes")
        assert post(port, "/bundles/0/generate", bytes(40))[0] == 200
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
            head = f"POST /bundles/0/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BODY_TYPE}\r\n"
            connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(4):
                connection.sendall(b"190\r\n" + bytes(400) + b"\r\n")
            assert connection.recv(200).startswith(b"HTTP/1.1 413")


def test_an_unfinished_body_times_out(tiny: Path) -> None:
    with (
        serving_tiny(tiny, timeout=0.3) as port,
        socket.create_connection(("127.0.0.1", port), timeout=300) as slow,
    ):
        head = f"POST /bundles/0/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BODY_TYPE}\r\n"
        slow.sendall(head.encode() + b"Content-Length: 40\r\n\r\n" + bytes(10))
        assert slow.recv(200).startswith(b"HTTP/1.1 408")


def test_the_rate_has_a_limit(tiny: Path) -> None:
    with serving_tiny(tiny, rate=0.001, burst=5) as port:
        found = [post(port, "/bundles/0/generate", ROWS)[0] for _ in range(8)]
        assert found == [200] * 5 + [429] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only there every 127.x.y.z is this machine")
def test_each_address_has_a_rate_of_its_own_and_few_are_stored(tiny: Path) -> None:
    def from_address(last: int) -> int:
        with closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=300, source_address=(f"127.0.0.{last}", 0))
        ) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status

    with serving_tiny(tiny, rate=0.001, burst=1, addresses=2) as port:
        assert [from_address(last) for last in (1, 1, 2, 1, 2, 3)] == [200, 429, 200, 429, 429, 200]
        assert from_address(1) == 200, "two others have sent requests since"


def test_concurrent_requests_have_a_limit(tiny: Path) -> None:
    with serving_tiny(tiny, concurrency=2, timeout=300) as port:
        head = f"POST /bundles/0/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BODY_TYPE}\r\n"
        with ExitStack() as stack:
            slow = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=300))
                for _ in range(2)
            ]
            for one in slow:
                one.sendall(head.encode() + b"Expect: 100-continue\r\nContent-Length: 40\r\n\r\n")
                assert one.recv(100).startswith(b"HTTP/1.1 100 ")  # the request has begun
            assert post(port, "/bundles/0/generate", ROWS)[0] == 503
            for one in slow:
                one.sendall(ROWS)
                assert one.recv(20).startswith(b"HTTP/1.1 200")
        wait_until(lambda: post(port, "/bundles/0/generate", ROWS)[0] == 200)


@pytest.mark.parametrize("path", ["/step/" + "9" * 5000 + ".png", "/effects/-1.json", "/codes/x.png"])
def test_a_step_that_cannot_be_is_not_found(path: str) -> None:
    run: Any = SimpleNamespace(sheet=lambda *_: b"", effects=lambda _: b"")
    with serving(make_watch_app(run)) as port:
        assert send(port, "GET", path)[0] == 404


def test_no_traceback_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> bytes:
        raise RuntimeError("a secret\nof this machine")

    run: Any = SimpleNamespace(describe=broken)
    with serving(make_watch_app(run)) as port:
        status, headers, content = send(port, "GET", "/run.json")
    assert (status, json.loads(content)) == (500, {"error": "internal error"})
    assert "content-security-policy" in headers
    assert capfd.readouterr().err == "internal error: RuntimeError: a secret\\nof this machine\n"
