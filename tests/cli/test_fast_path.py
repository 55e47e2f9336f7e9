"""Command lines parsed without Typer give the same output as with Typer."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool import __version__
from infogan_tool.cli import fast_path
from infogan_tool.cli.encode.command import encode
from infogan_tool.cli.encode.options import EncodeOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = {
    "--version": 0,
    "encode {p}": 0,
    "encode {p} {q} --json": 0,
    "encode --json {p} --bundle {tiny}": 0,
    "encode -b {tiny} {p} --device cpu {q}": 0,
    "encode {p} --raw --device auto": 0,
    "encode {p} -b {continuous} --force --json": 0,
    "encode no-such.png": 1,
    "encode {p} no-such.png --json": 3,
    "encode {broken} {p}": 3,
    "encode {p} --bundle no/such/bundle": 1,
    "encode {p} --bundle {p} --json": 1,
    "encode {folder}": 0,
    "encode {p} --device cuda": 1,
    "encode {folder} --out {new}.jsonl --threads 2 --no-progress": 0,
    "encode {folder} -o {new}.csv --errors {new}.errors --resume --progress": 0,
    "encode {p} --out {folder}.txt": 2,
    "encode {p} --resume": 2,
}
"""Command lines that are parsed without Typer, as templates, and their exit codes."""
LEFT = [
    "",
    "encode",
    "encode --json",
    "encode --help",
    "encode {p} -h",
    "encode {p} --nonsense",
    "encode {p} --bundle",
    "encode {p} -b",
    "encode {p} --bundle={tiny} --json",
    "encode {p} -b{tiny}",
    "encode {p} --json --json",
    "encode {p} -b {tiny} --bundle {continuous}",
    "encode {p} --device gpu",
    "encode {p} --device",
    "encode {p} --device --json",
    "encode {p} --bundle --json",
    "encode -- {p}",
    "encode - --json",
    "encode {p} --out",
    "encode {p} --out --force",
    "encode {p} -o {new}.csv --out {new}.csv",
    "encode {p} -o{new}.csv",
    "encode {p} --threads 0",
    "encode {p} --threads 1025",
    "encode {p} --threads 00002",
    "encode {p} --threads two",
    "encode {p} --threads \u0662",
    "encode {p} --progress --no-progress",
    "encode {p} --format xml",
    "Encode {p}",
    "--version encode",
    "encode --version",
]
"""Command lines that are left to Typer."""


@pytest.fixture
def fill(images: list[Path], tiny: Path, continuous: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a function that puts paths into a template and splits it into arguments."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    names = {"p": images[0], "q": images[1], "tiny": tiny, "continuous": continuous, "broken": broken}
    names |= {"folder": images[0].parent, "new": tmp_path / "new"}
    return lambda template: [word.format(**names) for word in template.split()]


@pytest.mark.parametrize("template", PLAIN)
def test_the_result_is_the_same_as_with_typer(
    template: str,
    fill: Callable[[str], list[str]],
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    arguments = fill(template)
    assert fast_path.match(arguments) is not None
    directly = cli(*arguments), written(tmp_path)
    monkeypatch.setattr(fast_path, "match", lambda _: None)
    assert directly == (cli(*arguments), written(tmp_path))
    assert directly[0].code == PLAIN[template]
    assert ("{new}" in template) == bool(directly[1])


def written(folder: Path) -> dict[str, bytes]:
    """Return the content of the new files, and remove them."""
    found = {path.name: path.read_bytes() for path in folder.glob("new*")}
    for name in found:
        (folder / name).unlink()
    return found


@pytest.mark.parametrize("template", LEFT)
def test_command_lines_left_to_typer(template: str, fill: Callable[[str], list[str]]) -> None:
    assert fast_path.match(fill(template)) is None


def test_defaults_are_those_of_the_command() -> None:
    defaults = encode.__kwdefaults__
    options = EncodeOptions()
    assert {name: getattr(options, name) for name in defaults} == defaults


@pytest.mark.parametrize("template", ["--version", "encode {p} {broken}"])
def test_the_entry_point_prints_the_same_as_the_module(
    template: str, fill: Callable[[str], list[str]], spawn: Callable[..., Any], tmp_path: Path
) -> None:
    # The entry point skips Python's shutdown, which must not lose any output.
    arguments = fill(template)
    ordinary = spawn(*arguments)
    code = "import sys; from infogan_tool.cli.main import entry; sys.argv[0] = 'infogan-tool'; entry()"
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            stdout=stdout,
            stderr=stderr,
            check=False,
            timeout=600,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
    assert (done.returncode, out.read_text(), err.read_text()) == (ordinary.code, ordinary.out, ordinary.err)
    assert ordinary.out or ordinary.code


@pytest.mark.parametrize("template", ["--version", "encode {p}", "encode no-such.png"])
def test_typer_is_not_imported(template: str, fill: Callable[[str], list[str]]) -> None:
    command = f"from infogan_tool.cli.main import main\nmain({fill(template)!r})"
    slow = {"typer", "click", "rich", "pydantic", "torch", "shutil", "secrets"}
    # Older numpy and Pillow import some of these themselves.
    assert not slow & _imported_by(command) - _imported_by("import numpy, onnxruntime, PIL.Image")


@cache
def _imported_by(code: str) -> set[str]:
    code += "\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600
    )
    return set(done.stderr.splitlines()[-1].split())


def test_version_imports_nothing_heavy() -> None:
    code = """
import sys
from infogan_tool.cli.main import main
main(["--version"])
assert not {"numpy", "PIL", "onnxruntime", "typer"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=600)
    assert done.stdout.decode().strip() == f"infogan-tool {__version__}"
