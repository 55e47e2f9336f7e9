"""Helpers of the explorer's tests: the command in a process of its own, and what a page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = [
    "ADDRESS",
    "AXE",
    "CHROMIUM",
    "COMMAND",
    "READY",
    "SWITCHES",
    "WITH_SERVER",
    "Explorer",
    "pixels",
    "recorded",
    "settle",
    "wait_for_label",
]

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


def recorded(page: Page) -> tuple[list[str], list[str]]:
    """Return the messages and errors that a page logs, and the addresses that it requests, from now on."""
    logged: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    return logged, requested


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
