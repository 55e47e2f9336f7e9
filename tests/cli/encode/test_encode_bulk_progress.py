"""Bulk encoding: progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from bulk_helpers import COUNT, lines
from waiting import wait_until

from infogan_tool.cli.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path


def test_progress_line() -> None:
    progress = Progress(lambda: 70_000, done=10_000, wanted=True, bar=False)
    progress._start -= 10
    progress.update(30_000)
    assert wait_until(lambda: progress._total) == 70_000
    words = progress.line(progress._start + 10)
    assert words == "30,000 of 70,000 images, 2,000 a second, 20 s left"
    progress._total = None
    assert progress.line(progress._start + 10) == "30,000 images, 2,000 a second"
    progress._total = 20_000_000
    assert progress.line(progress._start + 10).endswith("2 h 46 min left")


def test_progress_lines_have_an_interval(capsys: pytest.CaptureFixture[str]) -> None:
    for wanted, seconds, messages in ((None, 29, 0), (None, 31, 1), (True, 6, 1), (False, 99, 0)):
        with Progress(lambda: None, done=0, wanted=wanted, bar=False) as progress:
            progress._start -= seconds
            progress._printed -= seconds
            progress.update(500)
            progress.update(501)
        assert len(capsys.readouterr().err.splitlines()) == messages


def test_a_failing_count_is_not_an_error() -> None:
    def fail() -> int:
        raise OSError

    progress = Progress(fail, done=0, wanted=True, bar=False)
    progress._start -= 10
    progress.update(10)
    assert progress.line(progress._start + 10).startswith("10 images, 1 a second")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_a_bar_on_a_terminal_is_not_on_standard_output(folder: Path, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415

    leader, terminal = pty.openpty()
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--json"]
    names = b"".join(os.fsencode(p) + b"\n" for p in sorted(folder.rglob("*.png"))) + b"no.png\n"
    with (
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=terminal) as run,
    ):
        os.close(terminal)
        assert run.stdin is not None
        feeder = threading.Thread(target=_feed, args=(run.stdin, names))
        feeder.start()
        shown = b""
        while more := _read(leader):
            shown += more
            if b"a second" in shown:
                feeder.stop = True
        feeder.join()
    os.close(leader)
    assert run.returncode == 3
    assert len(lines((tmp_path / "out").read_text())) % COUNT == 0
    assert re.search(rb"[\d,]+ images, [\d,]+ a second", shown)
    assert b"error: no.png: No such file" in shown


def _feed(stream: Any, names: bytes) -> None:  # noqa: ANN401 - a pipe
    """Write the list again and again until the thread is asked to stop."""
    thread = threading.current_thread()
    with stream:
        while not getattr(thread, "stop", False):
            stream.write(names)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end is closed
        return b""
