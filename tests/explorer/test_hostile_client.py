"""Hostile clients: too slow, too many, too much, or no HTTP. The server still serves others."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest
from test_guard import BODY_TYPE, ROWS, TINY, post, send, serving_tiny
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = f"POST /bundles/0/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BODY_TYPE}\r\n".encode()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a server with the limits that it has by default."""
    with serving_tiny(TINY) as opened:
        yield opened


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=300)


def received_from(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    found = b""
    with suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            found += more
    return found


def response_to(port: int, content: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    with connected(port) as connection:
        with suppress(OSError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        return received_from(connection)


def is_closed(connection: socket.socket) -> bool:
    """Return whether the server has closed a connection on which it sends nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def is_alive(port: int) -> bool:
    return post(port, "/bundles/0/generate", ROWS)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_an_unfinished_head_times_out(tiny: Path, sent: bytes) -> None:
    with serving_tiny(tiny, timeout=1) as port, connected(port) as slow:

        def is_cut() -> bool:
            with suppress(OSError):
                slow.sendall(b"x" if sent else b"")  # what still comes does not extend the time
            return is_closed(slow)

        slow.sendall(sent)
        wait_until(is_cut)
        wait_until(lambda: is_alive(port))


def test_an_unfinished_second_head_on_one_connection_times_out(tiny: Path) -> None:
    with (
        serving_tiny(tiny, timeout=1) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as slow,
    ):
        slow.request("GET", "/model.json")
        assert json.load(slow.getresponse())
        began = time.monotonic()
        slow.send(b"GET / HT")
        assert received_from(slow.sock) == b""
        assert time.monotonic() - began > 0.5


def test_connections_have_a_limit(tiny: Path) -> None:
    with serving_tiny(tiny, timeout=300, connections=20) as port:
        with ExitStack() as stack:
            silent = [stack.enter_context(connected(port)) for _ in range(60)]
            wait_until(lambda: sum(map(is_closed, silent)) >= 40)
            with pytest.raises(OSError):  # noqa: PT011 - closed, before or after the request is sent
                is_alive(port)
            assert sum(map(is_closed, silent)) == 40

        def has_room() -> bool:
            with suppress(OSError):
                return is_alive(port)
            return False

        wait_until(has_room)


@pytest.mark.parametrize("requests", [1, 2])  # the second response waits for the first to be read
def test_a_client_that_does_not_read_its_responses_times_out(tiny: Path, requests: int) -> None:
    response = 256 * 16 * 16 * 3
    with serving_tiny(tiny, timeout=1, concurrency=4) as port, ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(4)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(300)
            client.connect(("127.0.0.1", port))
            client.sendall((HEAD + b"Content-Length: 10240\r\n\r\n" + ROWS * 256) * requests)
        for client in clients:
            assert client.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        wait_until(lambda: is_alive(port))
        for client in clients:
            assert len(received_from(client)) < response


def test_a_client_that_reads_slowly_is_served(tiny: Path) -> None:
    with serving_tiny(tiny, timeout=0.5) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(300)
        slow.connect(("127.0.0.1", port))
        slow.sendall(HEAD + b"Content-Length: 10240\r\nConnection: close\r\n\r\n" + ROWS * 256)
        found, began = b"", time.monotonic()
        while time.monotonic() - began < 1.5:
            found += slow.recv(2048)
            time.sleep(0.05)
        assert len(found + received_from(slow)) > 256 * 16 * 16 * 3


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 9999999999999999999999\r\n\r\n",
        HEAD + b"Content-Length: 40\r\nContent-Length: 41\r\n\r\n" + ROWS,
        HEAD + b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n" + ROWS,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        HEAD + b"Content-Length: \xd9\xa1\r\n\r\n",
    ],
    ids=range(14),
)
def test_invalid_requests(port: int, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    found = response_to(port, content)
    assert not found or found.split()[1] in (b"400", b"408", b"413", b"405", b"431", b"200", b"501"), found
    assert b"Traceback" not in found
    if found.split()[1:2] == [b"200"]:
        assert b"Host: localhost\r\n" in content
    assert is_alive(port)
    assert capfd.readouterr() == ("", "")  # nothing is printed


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "X" * 50]
)
def test_other_methods_are_refused(port: int, method: str) -> None:
    path = "localhost:80" if method == "CONNECT" else "/bundles/0/generate"
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    assert response_to(port, request.encode()).split()[1] == b"405"


def test_bodies_that_are_no_images_are_refused(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    random.seed(0)
    bodies = [
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        os.urandom(100_000),
        b"\x89PNG\r\n\x1a\n" + os.urandom(1000),
        b"P5 8000 8000 255\n",
        b"II*\0" + os.urandom(2000),
        b"",
    ]
    for body in bodies:
        for path in ("encode", "encode?raw=1", "generate", "encode?raw=" + "1" * 10_000):
            status, reason = post(port, f"/bundles/0/{path}", body)
            assert status == 422
            assert reason.isprintable()
    assert send(port, "GET", "/bundles/0/generate")[0] == 405
    assert json.loads(send(port, "GET", "/model.json")[2])
    assert capfd.readouterr() == ("", "")
