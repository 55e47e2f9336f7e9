"""Start and end of the command: help, errors, exit codes, pipes and signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from bulk_helpers import inputs_done
from waiting import wait_until

from infogan_tool import __version__
from infogan_tool.cli import failures
from infogan_tool.cli import main as main_module
from infogan_tool.cli.app import app
from infogan_tool.cli.main import main
from infogan_tool.runtime.errors import BundleError, ConfigError, ImageError, OutputExistsError

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = tuple(typer.main.get_command(app).commands)
POSIX = pytest.mark.skipif(os.name == "nt", reason="pipes and signals of POSIX")


# --- help and version --------------------------------------------------------------------------------------


def test_help_names_every_command_and_the_exit_codes(cli: Callable[..., Any]) -> None:
    for arguments in (("--help",), ("-h",)):
        done = cli(*arguments)
        assert (done.code, done.err) == (0, "")
        for word in (*COMMANDS, "--version", "Exit codes", "130"):
            assert word in done.out
    bare = cli()
    assert (bare.code, bare.err) == (2, "")
    assert "Usage: infogan-tool" in bare.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str, cli: Callable[..., Any]) -> None:
    done = cli(command, "-h")
    assert (done.code, done.err) == (0, "")
    assert f"infogan-tool {command}" in done.out


def test_version(cli: Callable[..., Any]) -> None:
    assert cli("--version") == type(cli("--version"))(0, f"infogan-tool {__version__}\n", "")


def test_help_and_version_import_nothing_heavy() -> None:
    code = f"""
import sys
from infogan_tool.cli.main import main
for arguments in [["--version"], ["--help"], *([command, "--help"] for command in {COMMANDS!r})]:
    assert main(arguments) == 0
    heavy = {{"numpy", "PIL", "onnxruntime", "torch", "torchvision", "onnx", "scipy"}} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=600)


def test_every_out_has_a_short_form_and_b_is_a_bundle_everywhere() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        options = {name: parameter for parameter in command.params for name in parameter.opts}
        assert ("--out" in options) == ("-o" in options), name
        assert options.get("-o") is options.get("--out")
        assert options.get("-b") is options.get("--bundle")


@pytest.mark.parametrize("command", ["generate -n 1 -o {out}", "traverse -c c1 -o {out}", "doctor --json"])
def test_a_bundle_comes_first_or_as_in_0_1_0_as_an_option(
    command: str, cli: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    name, *options = command.format(out=tmp_path / "x.png").split()
    force = [] if name == "doctor" else ["--force"]
    assert cli(name, tiny, *options).code == 0
    assert cli(name, *options, "-b", tiny, *force).code == 0
    done = cli(name, tiny, *options, "--bundle", "other", *force)
    assert (done.code, done.err) == (2, f"error: there are two bundles: {tiny} and --bundle other\n")
    assert "--bundle" not in cli(name, "--help").out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("infogan-tool t", ["train", "traverse"]),
        ("infogan-tool generate --sc", ["--scale"]),
        ("infogan-tool encode x.png --device c", ["cpu", "cuda"]),
    ],
)
def test_completion_in_bash(words: str, found: list[str]) -> None:
    environment = os.environ | {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    environment["_INFOGAN_TOOL_COMPLETE"] = "complete_bash"
    command = [sys.executable, "-c", "from infogan_tool.cli.main import entry; entry()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, found, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(shell: str) -> None:
    environment = os.environ | {"_INFOGAN_TOOL_COMPLETE": f"source_{shell}"}
    command = [sys.executable, "-c", "from infogan_tool.cli.main import entry; entry()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"complete_{shell}" in done.stdout


def test_python_dash_m(spawn: Callable[..., Any]) -> None:
    assert spawn("--version").out == f"infogan-tool {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "error: No such command 'nonsense' (see infogan-tool --help)"),
        (["encode"], "error: Missing argument 'PATH' (see infogan-tool encode --help)"),
        (["encode", "x", "--nonsense"], "error: No such option"),
        (["info", "a", "b"], "error: Got unexpected extra argument"),
    ],
)
def test_usage_errors_are_one_line(arguments: list[str], message: str, cli: Callable[..., Any]) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)
    assert len(done.err.splitlines()) == 1


# --- the table of errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ImageError("x: y"), 1, "error: x: y"),
        (BundleError("two\nlines\x1b"), 1, "error: two\\nlines\\x1b"),
        (ConfigError("k"), 2, "error: k"),
        (
            OutputExistsError("a.png"),
            1,
            "error: a.png already exists: use --force to replace it, or give another name",
        ),
        (OSError(28, "No space left on device", "out.png"), 1, "error: out.png: No space left on device"),
        (PermissionError(13, "Permission denied"), 1, "error: Permission denied"),
        (OSError("odd"), 1, "error: odd"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (MemoryError(), 1, "error: out of memory"),
        (KeyError("x"), 1, "internal error: KeyError: 'x' (INFOGAN_TOOL_TRACEBACK=1 shows the traceback)"),
    ],
)
def test_every_error_is_one_line_and_a_code(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("INFOGAN_TOOL_TRACEBACK", raising=False)
    assert failures.report_error(error) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (f"{message}\n" if message else "")


def test_an_unexpected_error_in_a_command(
    monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infogan_tool.runtime.bundle.bundle.read_metadata", lambda _: {}["boom"])
    done = cli("info")
    assert done.code == 1
    assert done.err == "internal error: KeyError: 'boom' (INFOGAN_TOOL_TRACEBACK=1 shows the traceback)\n"
    monkeypatch.setenv("INFOGAN_TOOL_TRACEBACK", "1")
    assert main(["info"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith("internal error: KeyError: 'boom'\n")


def test_openblas_has_one_thread_unless_the_user_sets_it(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    cli("--version")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    cli("--version")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


def test_train_and_export_without_the_extra(tmp_path: Path) -> None:
    for command in (["train"], ["export", str(tmp_path), "--out", str(tmp_path / "b")]):
        code = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "torch" else real(name, *a)
from infogan_tool.cli.main import main
raise SystemExit(main({command!r}))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == (
            f"error: infogan-tool {command[0]} needs more packages: pip install 'infogan-tool[train]'\n"
        )


# --- pipes, disks and signals ------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("options", [("--json",), ()], ids=["json", "table"])
def test_a_closed_pipe_ends_the_command_silently(
    options: tuple[str, ...], start: Callable[..., Any], images: list[Path], tiny: Path
) -> None:
    with start("encode", *(images * 100), "-b", tiny, *options) as process:
        process.stdout.read(10)
        process.stdout.close()
        messages = process.stderr.read()
        assert process.wait(600) == 141
    assert messages == b""


@POSIX
def test_help_to_a_closed_pipe_ends_silently() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as unread:
        command = [sys.executable, "-m", "infogan_tool", "generate", "--help"]
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (141, b"")


@POSIX
def test_a_closed_standard_error_is_no_traceback(spawn: Callable[..., Any], tiny: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = spawn("encode", "no.png", "-b", tiny, stderr=writer)
    os.close(writer)
    assert (done.code, done.out) == (141, "")


@POSIX
@pytest.mark.parametrize(
    ("closed", "code", "shown"), [(2, 3, "{"), (1, 1, "error: standard output: it is closed")]
)
def test_a_stream_that_is_closed_from_the_start(
    closed: int, code: int, shown: str, images: list[Path], tiny: Path
) -> None:
    program = (sys.executable, "-m", "infogan_tool", "encode", images[0], "no.png", "-b", tiny, "--json")
    command = ["sh", "-c", f'"$@" {closed}>&-', "sh", *map(str, program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stdout + done.stderr).splitlines()[-1].startswith(shown)
    assert len(done.stdout.splitlines()) == (closed == 2), "messages do not go to standard output"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(
    unbuffered: str, spawn: Callable[..., Any], images: list[Path], tiny: Path
) -> None:
    for arguments in (("encode", *images, "-b", tiny, "--json"), ("info", tiny), ("--version",)):
        with Path("/dev/full").open("wb") as full:
            done = spawn(*arguments, stdout=full, PYTHONUNBUFFERED=unbuffered)
        assert done.code == 1
        assert done.err == "error: standard output: No space left on device\n"


@POSIX
def test_an_interrupted_bulk_run_can_be_resumed(
    start: Callable[..., Any], spawn: Callable[..., Any], images: list[Path], tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "codes.jsonl"
    arguments = ("encode", *(images * 1500), "-b", tiny, "--out", out)
    with start(*arguments) as process:
        # The part may be ahead of the journal, which counts.
        wait_until(lambda: inputs_done(out) > 0, process)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=600)
    assert process.returncode == 130
    kept, last = messages.decode().splitlines()
    how = f"images are done and kept in {out}.part: the same command with --resume continues"
    assert re.fullmatch(rf"[\d,]+ {re.escape(how)}", kept)
    assert last == "interrupted"
    assert not out.exists()
    assert spawn(*arguments, "--resume").code == 0
    assert len(out.read_text().splitlines()) == 1500 * len(images)
    assert {p.name for p in tmp_path.iterdir()} == {"images", "codes.jsonl"}


def test_an_ascii_terminal_is_no_failure(spawn: Callable[..., Any], images: list[Path], tiny: Path) -> None:
    done = spawn("encode", images[0], "-b", tiny, PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert "\\xb1" in done.out


def test_main_is_what_the_entry_point_calls() -> None:
    assert main_module.main is main
    assert main(["--version"]) == 0
