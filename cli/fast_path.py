"""The most common command lines, parsed without Typer: plain ``encode`` and ``--version``.

A command line is parsed here only if Typer would make the same call of it. All others, including wrong ones,
are left to Typer, which prints help and errors.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from infogan_tool import __version__
from infogan_tool.cli import output

_FLAGS: Final = {
    "--json": ("as_json", True),
    "--raw": ("raw", True),
    "--force": ("force", True),
    "--resume": ("resume", True),
    "--progress": ("progress", True),
    "--no-progress": ("progress", False),
}
_VALUES: Final = {
    "--bundle": "bundle",
    "-b": "bundle",
    "--device": "device",
    "--out": "out",
    "-o": "out",
    "--errors": "errors",
    "--threads": "threads",
}
_DEVICES: Final = ("auto", "cpu", "cuda")
_MAX_THREADS: Final = 1024


def match(arguments: list[str]) -> Callable[[], int] | None:
    """Return a function that runs the command, or None if Typer has to parse the arguments."""
    if arguments == ["--version"]:
        return _show_version
    if not arguments or arguments[0] != "encode":
        return None
    read = _plain_encode(arguments[1:])
    return None if read is None else lambda: _encode(*read)


def version_line() -> str:
    """Return the output of ``--version``."""
    return f"infogan-tool {__version__}"


def _plain_encode(arguments: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """Return the paths, and the options by name; None if Typer has to parse them."""
    paths: list[str] = []
    options: dict[str, Any] = {}
    left = iter(arguments)
    for word in left:
        if not word.startswith("-"):
            paths.append(word)
            continue
        value: object
        if word in _FLAGS:
            name, value = _FLAGS[word]
        elif word in _VALUES:
            name = _VALUES[word]
            value = _value(name, next(left, ""))
        else:
            return None
        if value is None or name in options:
            return None
        options[name] = value
    return (paths, options) if paths else None


def _value(name: str, word: str) -> str | int | Path | None:
    """Return the value of an option; None if Typer has to parse it."""
    if not word or word.startswith("-"):
        return None
    if name == "device":
        return word if word in _DEVICES else None
    if name == "threads":
        is_number = word.isascii() and word.isdecimal() and len(word) <= len(str(_MAX_THREADS))
        return int(word) if is_number and 1 <= int(word) <= _MAX_THREADS else None
    return Path(word)


def _show_version() -> int:
    output.emit(version_line())
    return 0


def _encode(paths: list[str], options: dict[str, Any]) -> int:
    from infogan_tool.cli.encode.options import EncodeOptions
    from infogan_tool.cli.encode.run import encode_paths

    return encode_paths(paths, EncodeOptions(**options))
