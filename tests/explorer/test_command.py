"""``infogan-tool explore`` as a command: how it starts, what it prints, how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from explorer_helpers import COMMAND, Explorer

from infogan_tool.cli.explorer.description import SITE_FILES
from infogan_tool.cli.explorer.guard import BODY_TYPE
from infogan_tool.cli.explorer.server import listen
from infogan_tool.cli.explorer.static_site import ORT_PACKAGE
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE, GRAPH_FILES, METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_prints_its_address_and_ends_by_ctrl_c(tiny: Path) -> None:
    running = Explorer(tiny)
    assert re.fullmatch(
        r"the explorer is at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n", running.first_line
    )
    with urllib.request.urlopen(f"{running.address}model.json", timeout=300) as response:
        model = json.load(response)
    assert [one["name"] for one in model["bundles"]] == ["tiny"]
    assert model["inference"] == "server"
    assert running.end(signal.SIGINT) == (0, "", "")


def test_it_ends_with_a_page_open(tiny: Path) -> None:
    running = Explorer(tiny)
    port = int(running.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv(15).startswith(b"HTTP/1.1 200")
        assert running.end(signal.SIGINT) == (0, "", "")


def test_other_machines_can_connect_only_with_host(tiny: Path) -> None:
    running = Explorer(tiny, "--host", "0.0.0.0")
    assert "http://127.0.0.1:" in running.first_line
    assert running.process.stderr is not None
    assert running.process.stderr.readline() == "every machine that can reach this address can use it\n"
    assert running.end(signal.SIGINT)[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only there every 127.x.y.z is this machine")
def test_every_loopback_address_is_answered(tiny: Path) -> None:
    running = Explorer(tiny, "--host", "127.0.1.1")
    assert running.address.startswith("http://127.0.1.1:")
    with urllib.request.urlopen(running.address, timeout=300) as response:
        assert response.status == 200
    assert running.end(signal.SIGINT) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-bundle"], 1, "no-such-bundle does not exist"),
        (["--host", "192.0.2.1"], 2, "--host 192.0.2.1: "),
        (["--host", "no.such.host.invalid"], 2, "--host no.such.host.invalid"),
        (["--host", "."], 2, "--host .: not the name of a host"),
        (["--host", ""], 2, "--host "),
        (["--port", "99999"], 2, "'--port'"),
        (["--export", "x", "--port", "1"], 2, "--export only writes files"),
        (["a", "b", "c"], 2, "unexpected extra argument"),
    ],
)
def test_an_error_is_one_line(
    cli: Callable[..., Any], tiny: Path, arguments: list[str], code: int, message: str
) -> None:
    bundle = [tiny] if arguments[0].startswith("--") else []
    done = cli("explore", "--no-browser", *bundle, *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1


def test_a_port_in_use_is_an_error(cli: Callable[..., Any], tiny: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("explore", "--no-browser", tiny, "--port", port)
    assert done.code == 2
    assert f"--port {port}: " in done.err
    assert "--port 0 selects a free one" in done.err


def test_the_default_port_may_be_in_use(tiny: Path) -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert first.getsockname() != second.getsockname()


def test_few_unread_bytes_are_held_by_the_system() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            connection.setblocking(False)
            assert connection.send(bytes(8 << 20)) < 1 << 20


def test_the_static_site_has_the_files_of_the_bundle(exported: Path) -> None:
    files = (*GRAPH_FILES, METADATA_FILE, EXAMPLES_FILE)
    for file in files:
        assert (exported / "bundles/0" / file).read_bytes() == (PRETRAINED_BUNDLE / file).read_bytes()
    found = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert found == {
        *SITE_FILES,
        *(f"bundles/0/{file}" for file in (*files, "noise.bin")),
        *(f"ort/{file}" for file in ("ort.js", "ort-wasm.js", "ort-wasm.wasm")),
        "model.json",
        "NOTICE.txt",
    }
    assert json.loads((exported / "model.json").read_text("utf-8"))["inference"] == "browser"
    assert "Content-Security-Policy" in (exported / "index.html").read_text("utf-8")


def test_only_a_site_is_replaced_and_only_with_force(
    cli: Callable[..., Any], tiny: Path, exported: Path, tmp_path: Path
) -> None:
    done = cli("explore", tiny, "--export", exported)
    assert (done.code, "already exists" in done.err) == (1, True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    (mine / "model.json").touch()
    done = cli("explore", tiny, "--export", mine, "--force")
    assert (done.code, "not an explorer page" in done.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (mine / "letter.txt").read_text() == "dear"


def test_without_npm_the_error_is_one_line(tiny: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, tiny, "--export", tmp_path / "site"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"error: --export needs onnxruntime-web@\S+ from npm, .*: install Node.js\n", done.stderr
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="a shell script in npm's place")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            'echo another package > "$5/ort.tgz"',
            "the digest of the downloaded {} differs from the expected one",
        ),
        ('echo one > "$5/a.tgz"; echo two > "$5/b.tgz"', "npm cannot download {}: no reason given"),
        (
            "printf 'npm error \\033[2Jgone\\nnpm error more\\n' >&2; exit 1",
            r"npm cannot download {}: \x1b[2Jgone",
        ),
        ("exit 1", "npm cannot download {}: no reason given"),
    ],
)
def test_another_package_from_npm_is_refused(tiny: Path, tmp_path: Path, script: str, reason: str) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    done = subprocess.run(
        [*COMMAND, tiny, "--export", tmp_path / "site"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(npm.parent)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {reason.format(ORT_PACKAGE)}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.browser
def test_a_failed_download_is_one_line(tiny: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, tiny, "--export", tmp_path / "site"],
        capture_output=True,
        text=True,
        env={**os.environ, "npm_config_offline": "true", "npm_config_cache": str(tmp_path / "cache")},
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: npm cannot download onnxruntime-web@")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "site").exists()


@pytest.mark.slow
def test_memory_is_flat_under_a_soak(explorer: Explorer, request: pytest.FixtureRequest) -> None:
    """Generate and encode, 30 times a second each, for ``EXPLORER_SOAK_SECONDS`` (60)."""
    seconds = float(os.environ.get("EXPLORER_SOAK_SECONDS", "60"))
    rng = np.random.default_rng(0)
    connection = http.client.HTTPConnection(explorer.address.split("/")[2], timeout=300)
    request.addfinalizer(connection.close)
    image = (Path(__file__).resolve().parents[2] / "examples/three.png").read_bytes()

    def soak(until: float) -> int:
        sent, start = 0, time.monotonic()
        while time.monotonic() < until:
            time.sleep(max(0, start + sent / 60 - time.monotonic()))
            rows = rng.uniform(-1, 1, (int(rng.choice([1, 1, 1, 14, 95])), 65)).astype("<f4")
            rows[:, 62] = rng.integers(0, 10, len(rows))
            for path, body in (("generate", rows.tobytes()), ("encode", image)):
                connection.request("POST", f"/bundles/0/{path}", body, {"content-type": BODY_TYPE})
                response = connection.getresponse()
                response.read()
                assert response.status in (200, 429)
                sent += 1
        return sent

    soak(time.monotonic() + 5)
    before = explorer.memory()
    sent = soak(time.monotonic() + seconds)
    grown = (explorer.memory() - before) / 1e6
    print(f"\n{sent:,} requests in {seconds:g} s: {before / 1e6:.0f} MB and {grown:+.1f} MB", file=sys.stderr)
    assert grown < 20
