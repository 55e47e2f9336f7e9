"""What all tests share: the fixture bundles, and the command line run in this process or its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TINY = Path(__file__).parent / "fixtures" / "tiny"
"""2 categorical codes (4 and 3), 3 continuous, 5 normal noise, 16 x 16 x 3 in [0, 1]."""
CONTINUOUS = Path(__file__).parent / "fixtures" / "continuous"
"""No categorical code, 2 continuous, no noise, 8 x 8 x 1 in [-1, 1]."""


# One thread of torch for each test process: rounding depends on their number. Waiting must keep no core busy.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What a shell starts in the background, or nohup, ignores these, and so would each process that a test stops.
for _name in ("SIGINT", "SIGHUP"):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _same_threads_in_the_next_test() -> Iterator[None]:
    """Undo what a test set: fixtures of the next file run before any that could do it."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def pytest_report_header() -> str:
    names = ("numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "typer", "torch")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def tiny() -> Path:
    return TINY


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def continuous() -> Path:
    return CONTINUOUS


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``infogan-tool`` in this process; fast, and its output is captured."""
    monkeypatch.delenv("INFOGAN_TOOL_TRACEBACK", raising=False)

    def run(*arguments: str | Path) -> Result:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[bytes]]:
    """Start ``infogan-tool`` in a process of its own; its streams are pipes, buffered as users have them."""

    def run(
        *arguments: str | Path,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        process_group: int = -1,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        unset = ("PYTHONUNBUFFERED", "INFOGAN_TOOL_TRACEBACK")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        command = [sys.executable, "-m", "infogan_tool", *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=stdout, stderr=stderr, env=kept | environment, process_group=process_group
        )

    return run


@pytest.fixture
def spawn(start: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., Result]:
    """Run ``infogan-tool`` in a process of its own to its end."""

    def run(*arguments: str | Path, timeout: float = 600, **options: Any) -> Result:  # noqa: ANN401 - start's
        with start(*arguments, **options) as process:
            streams = process.communicate(timeout=timeout)
        out, err = ((stream or b"").decode(errors="replace") for stream in streams)
        return Result(process.returncode, out, err)

    return run
