"""The explorer end to end: the command in a process of its own, the page in Debian's Chromium."""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from explorer_helpers import CHROMIUM, COMMAND, READY, SWITCHES, Explorer, recorded, settle
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


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


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark the tests that need the browser or a package from npm."""
    for item in items:
        if {"browser", "exported"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
