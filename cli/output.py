"""What commands print: data on standard output, words for people on standard error, JSON alone."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.storage.atomic import printable

__all__ = [
    "check_target",
    "emit",
    "error",
    "flush_stdout",
    "json_line",
    "note",
    "plural",
    "settle_streams",
    "show_number",
]


def emit(line: str, stream: TextIO | None = None) -> None:
    """Print a line of data on standard output; the caller has escaped what a stranger wrote.

    Args:
        line: What to print.
        stream: Standard output, where ``sys.stdout`` is something else for the while.

    Raises:
        OSError: It cannot be written, for example because the disk is full; the error names standard output.
    """
    with _named_stdout():
        print(line, file=stream)


def flush_stdout() -> None:
    """Write out what is buffered, while an error can still be told.

    Raises:
        OSError: As :func:`emit`.
    """
    if sys.stdout is not None:  # it is None where the caller has closed it
        with _named_stdout():
            sys.stdout.flush()


@contextmanager
def _named_stdout() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def settle_streams() -> None:
    """Send what cannot be written any more nowhere, or the interpreter would complain of it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def note(message: object) -> None:
    """Tell people something on standard error, as one line that cannot steer a terminal."""
    print(printable(message), file=sys.stderr)


def error(message: object) -> None:
    """Print ``error: ...`` on standard error, likewise."""
    note(f"error: {message}")


def json_line(value: Any) -> str:  # noqa: ANN401 - anything JSON-ready
    """Return ``value`` as JSON on one line, in ASCII, so that any file name survives any terminal."""
    return json.dumps(value, allow_nan=False)


def plural(count: int, noun: str) -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def show_number(value: object) -> str:
    """Return a number in four digits, anything else as printable text."""
    return f"{value:.4g}" if isinstance(value, float) else printable(value)


def check_target(path: Path, *, force: bool, option: str = "--out") -> None:
    """Refuse an output file before any work is done for it.

    Raises:
        UsageError: Its folder is not there, or it is a folder itself.
        OutputExistsError: It is already there and ``force`` is not set.
    """
    if path.is_dir() or not path.name:
        raise UsageError(f"{option} {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}")
    if os.path.lexists(path) and not force:
        raise OutputExistsError(path)
