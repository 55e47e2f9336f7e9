"""The explorer end to end: the command in a process of its own, the page in Debian's Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
ADDRESS = re.compile(r"http://\S+/")
READY = "html[data-ready]"
WITH_SERVER = pytest.mark.parametrize("address", ["server"], indirect=True)
"""For what does not depend on the backend."""
COMMAND = (sys.executable, "-m", "infogan_tool", "explore")


class Explorer:
    """A running ``infogan-tool explore``."""

    def __init__(self, *arguments: str | Path) -> None:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        command = [*COMMAND, "--no-browser", "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline()
        found = ADDRESS.search(self.first_line)
        assert found, self.first_line + self.process.stderr.read()
        self.address = found[0]

    def memory(self) -> int:
        """Return the bytes that the process holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def end(self, signal: int) -> tuple[int, str, str]:
        """End it by a signal; return its exit code and what it has printed since."""
        self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=300)
        return self.process.returncode, out, err


@pytest.fixture(scope="session")
def explorer() -> Iterator[Explorer]:
    """Yield the explorer of the pretrained bundle."""
    running = Explorer()
    yield running
    code, out, err = running.end(2)
    assert (code, out, err) == (0, "", "")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the static site of the pretrained bundle; return its folder."""
    folder = tmp_path_factory.mktemp("static") / "site"
    subprocess.run([*COMMAND, "--export", folder], check=True, capture_output=True)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """A plain file server that prints nothing."""

    def log_message(self, *_: object) -> None: ...


def files_served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def static_address(exported: Path) -> Iterator[str]:
    """Serve the static site as any file server would."""
    yield from files_served(exported)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=["server", "static"])
def address(request: pytest.FixtureRequest) -> str:
    """Return the page's address: of the Python server, or of the static site."""
    if request.param == "server":
        return str(request.getfixturevalue("explorer").address)
    return str(request.getfixturevalue("static_address"))


def recorded(page: Page) -> tuple[list[str], list[str]]:
    """Return the messages and errors that a page logs, and the addresses that it requests, from now on."""
    logged: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    return logged, requested


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Open the page of the pretrained bundle.

    Afterwards there was no request to another machine and the console is empty.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(120_000)
    opened = context.new_page()
    logged, requested = recorded(opened)
    opened.goto(address)
    opened.wait_for_selector(READY)
    settle(opened)
    yield opened
    context.close()
    # The browser itself logs a response such as 422, with which the server refuses a file.
    assert [line for line in logged if "the server responded with a status of 422" not in line] == []
    assert requested
    assert [url for url in requested if not url.startswith((address, "blob:", "data:"))] == []


def settle(page: Page) -> None:
    """Wait until all images that the page starts with are there, which is after it can be used."""
    deadline, shown = time.monotonic() + 120, ""
    while time.monotonic() < deadline:
        before, shown = shown, pixels(page, "map") + pixels(page, "strip") + pixels(page)
        # A canvas is 300 pixels wide until it is painted.
        if shown == before and page.evaluate("() => document.querySelector('[data-part=map]').width !== 300"):
            return
        page.wait_for_timeout(400)
    raise AssertionError("the page does not settle")


def wait_for_label(page: Page, label: str) -> None:
    page.wait_for_function(
        "(label) => document.querySelector('[data-part=label]').textContent === label", arg=label
    )


def pixels(page: Page, part: str = "image") -> str:
    """Return what a canvas shows."""
    return str(page.evaluate("(part) => document.querySelector(`[data-part=${part}]`).toDataURL()", part))


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark the tests that need the browser or a package from npm."""
    for item in items:
        if {"browser", "exported"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
