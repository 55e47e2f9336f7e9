"""Hostile clients: too slow, too many, too much, or no HTTP. The server still serves others."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from test_guard import BODY_TYPE, ROWS, post, send, serving_tiny

if TYPE_CHECKING:
    from pathlib import Path

HEAD = f"POST /bundles/0/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {BODY_TYPE}\r\n".encode()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def response_to(port: int, content: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    found = b""
    with connected(port) as connection:
        with suppress(OSError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while more := connection.recv(1 << 16):
                found += more
    return found


def is_alive(port: int) -> bool:
    return post(port, "/bundles/0/generate", ROWS)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_an_unfinished_head_times_out(tiny: Path, sent: bytes) -> None:
    with serving_tiny(tiny, timeout=1) as port, connected(port) as slow:
        began = time.monotonic()
        slow.sendall(sent)
        for _ in range(100):
            if time.monotonic() - began > 10:
                break
            time.sleep(0.1)
            try:
                slow.sendall(b"x" if sent else b"")
                slow.settimeout(0.01)
                if slow.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 8
        assert is_alive(port)


def test_an_unfinished_second_head_on_one_connection_times_out(tiny: Path) -> None:
    with serving_tiny(tiny, timeout=1) as port, connected(port) as slow:
        slow.sendall(b"GET /model.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET / HT")
        began = time.monotonic()
        while slow.recv(1 << 16):
            pass
        assert 0.5 < time.monotonic() - began < 8


def test_connections_have_a_limit(tiny: Path) -> None:
    with serving_tiny(tiny, timeout=2, connections=20) as port, ExitStack() as stack:
        silent = [stack.enter_context(connected(port)) for _ in range(60)]
        time.sleep(0.5)
        closed = 0
        for one in silent:
            one.settimeout(0.05)
            try:
                closed += one.recv(10) == b""
            except TimeoutError:
                continue
            except OSError:
                closed += 1
        assert closed >= 40
        deadline = time.monotonic() + 20
        while True:  # the accepted ones are silent and time out
            with suppress(OSError):
                if is_alive(port):
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_client_that_does_not_read_its_responses_times_out(tiny: Path) -> None:
    with (
        serving_tiny(tiny, timeout=1, concurrency=4, burst=100_000, rate=100_000) as port,
        ExitStack() as stack,
    ):
        for _ in range(4):
            lazy = stack.enter_context(socket.socket())
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", port))
            with suppress(OSError):
                lazy.settimeout(2)
                for _ in range(200):  # responses of 200 kB each, none of them read
                    lazy.sendall(HEAD + b"Content-Length: 10240\r\n\r\n" + ROWS * 256)
        deadline = time.monotonic() + 20
        while not is_alive(port):
            assert time.monotonic() < deadline
            time.sleep(0.2)


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
def test_invalid_requests(tiny: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with serving_tiny(tiny) as port:
        found = response_to(port, content)
        assert not found or found.split()[1] in (b"400", b"408", b"413", b"405", b"431", b"200", b"501"), (
            found
        )
        assert b"Traceback" not in found
        if found.split()[1:2] == [b"200"]:
            assert b"Host: localhost\r\n" in content
        assert is_alive(port)
    assert capfd.readouterr() == ("", "")  # nothing is printed


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "X" * 50]
)
def test_other_methods_are_refused(tiny: Path, method: str) -> None:
    with serving_tiny(tiny) as port:
        path = "localhost:80" if method == "CONNECT" else "/bundles/0/generate"
        request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        assert response_to(port, request.encode()).split()[1] == b"405"


def test_bodies_that_are_no_images_are_refused(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
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
    with serving_tiny(tiny) as port:
        for body in bodies:
            for path in ("encode", "encode?raw=1", "generate", "encode?raw=" + "1" * 10_000):
                status, reason = post(port, f"/bundles/0/{path}", body)
                assert status == 422
                assert reason.isprintable()
        assert send(port, "GET", "/bundles/0/generate")[0] == 405
        assert json.loads(send(port, "GET", "/model.json")[2])
    assert capfd.readouterr() == ("", "")
