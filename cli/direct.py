"""The commonest command lines, recognised without Typer: plain ``encode`` and ``--version``.

What is recognised is what Typer would make the same call of; whatever else is on the command line, a mistake
included, is left to Typer, so that there is one place for help and errors.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from infogan_tool import __version__
from infogan_tool.cli import output

__all__ = ["recognise", "version_line"]

_FLAGS: Final = {"--json": "as_json", "--raw": "raw", "--force": "force"}
_BUNDLE: Final = ("--bundle", "-b")
_DEVICE: Final = "--device"
_DEVICES: Final = ("auto", "cpu", "cuda")


def recognise(arguments: list[str]) -> Callable[[], int] | None:
    """Return the command that ``arguments`` ask for, or None where Typer has to read them."""
    if arguments == ["--version"]:
        return _show_version
    if not arguments or arguments[0] != "encode":
        return None
    read = _plain_encode(arguments[1:])
    return None if read is None else lambda: _encode(*read)


def version_line() -> str:
    """Return what ``--version`` prints."""
    return f"infogan-tool {__version__}"


def _plain_encode(arguments: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """Return the paths and the options by name; None where it is not that plain."""
    paths: list[str] = []
    options: dict[str, Any] = {}
    left = iter(arguments)
    for word in left:
        if not word.startswith("-"):
            paths.append(word)
            continue
        name = "bundle" if word in _BUNDLE else "device" if word == _DEVICE else _FLAGS.get(word)
        if name is None or name in options:
            return None
        if word in _FLAGS:
            options[name] = True
            continue
        value = next(left, "")
        if not value or value.startswith("-") or (name == "device" and value not in _DEVICES):
            return None
        options[name] = Path(value) if name == "bundle" else value
    return (paths, options) if paths else None


def _show_version() -> int:
    output.emit(version_line())
    return 0


def _encode(paths: list[str], options: dict[str, Any]) -> int:
    from infogan_tool.cli.encoding import EncodeOptions, encode_paths

    return encode_paths(paths, EncodeOptions(**options))
