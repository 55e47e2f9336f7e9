"""Bulk encoding: interrupted runs, closed pipes, and progress."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import pytest
from bulk_helpers import COUNT, inputs_done, lines
from waiting import wait_until

from infogan_tool.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_an_interrupted_run_keeps_its_records(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.jsonl"
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        names = b"\n".join(os.fsencode(p) for p in sorted(folder.rglob("*.png")))
        feeding = threading.Thread(target=_feed_forever, args=(run.stdin, names + b"\n"), daemon=True)
        feeding.start()
        part = tmp_path / "codes.jsonl.part"
        # The part may be ahead of the journal, which counts.
        wait_until(lambda: inputs_done(out) > 0 or run.poll() is not None)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        messages = run.stderr.read().decode().splitlines()
        with suppress(OSError):
            run.stdin.close()
    assert run.returncode == 130
    assert re.fullmatch(
        rf"[\d,]+ images are done and kept in {part}: the same command with --resume continues", messages[0]
    )
    assert messages[1] == "interrupted"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["codes.jsonl.part", "codes.jsonl.part.journal"]


def _feed_forever(pipe: IO[bytes], names: bytes) -> None:
    """Write names until the reader closes the pipe, so that several chunks are in the pipeline."""
    with suppress(OSError, ValueError):
        while True:
            pipe.write(names)


def test_a_closed_pipe_ends_the_run(start: Callable[..., Any], folder: Path) -> None:
    with start("encode", folder, folder, folder, folder, "--json", CUDA_VISIBLE_DEVICES="-1") as run:
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 141


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
