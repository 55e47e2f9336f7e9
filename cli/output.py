"""Data on standard output, messages on standard error, and checks of output paths."""

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, TextIO

from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES
from infogan_tool.runtime.storage.atomic import printable


def emit(line: str, stream: TextIO | None = None) -> None:
    """Print data on standard output; the caller has escaped untrusted text.

    Args:
        line: The text.
        stream: Standard output, if ``sys.stdout`` is redirected.

    Raises:
        OSError: It cannot be written, for example because the disk is full; the error names standard output.
    """
    if stream is None and sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", "standard output")
    with _named_stdout():
        print(line, file=stream)


def flush_stdout() -> None:
    """Flush standard output, while an error can still be reported.

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
    """Redirect streams that cannot be flushed to the null device; Python would report them at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Verbosity(IntEnum):
    """What is printed on standard error."""

    QUIET = 0
    """Errors and warnings only."""
    NORMAL = 1
    """Progress and results too."""
    VERBOSE = 2
    """Every message of the log too."""


_verbosity: Final = [Verbosity.NORMAL]


def set_verbosity(verbosity: Verbosity) -> None:
    """Choose what is printed on standard error, and print the log of the package there."""
    _verbosity[0] = verbosity
    logger = logging.getLogger("infogan_tool")
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[verbosity])
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        logger.addHandler(_StderrHandler())
        logger.propagate = False


def is_quiet() -> bool:
    """Return whether only errors and warnings are printed."""
    return _verbosity[0] is Verbosity.QUIET


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        for line in (prefix + record.getMessage()).splitlines():
            with suppress(OSError):  # the terminal may be closed; the command goes on
                print(printable(line), file=sys.stderr)


def note(message: object) -> None:
    """Print a message on standard error, as one line without control characters; nothing with ``--quiet``."""
    if not is_quiet():
        print(printable(message), file=sys.stderr)


def error(message: object, prefix: str = "error: ") -> None:
    """Print ``error: ...`` on standard error."""
    print(printable(f"{prefix}{message}"), file=sys.stderr)


def json_line(value: Any) -> str:  # noqa: ANN401 - anything JSON-ready
    """Return ``value`` as JSON on one line, in ASCII, which every terminal can show."""
    return json.dumps(value, allow_nan=False)


def plural(count: int, noun: str) -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def show_number(value: object) -> str:
    """Return a float with four digits, anything else as printable text."""
    return f"{value:.4g}" if isinstance(value, float) else printable(value)


def check_target(path: Path, *, force: bool, option: str = "--out") -> None:
    """Check an output file before any work is done.

    Raises:
        UsageError: It is a folder, or its folder does not exist.
        OutputExistsError: It exists and ``force`` is not set.
    """
    if path.is_dir() or not path.name:
        raise UsageError(f"{option} {path} is a folder: give a file name")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: the folder {path.parent} does not exist; create it first")
    if os.path.lexists(path) and not force:
        raise OutputExistsError(path)


def is_page(path: Path) -> bool:
    """Return whether a name is that of an HTML page."""
    return path.suffix.lower() in (".html", ".htm")


def check_page(path: Path, *, force: bool) -> None:
    """Check an HTML page before any work is done; errors as in :func:`check_target`, or another suffix."""
    if not is_page(path):
        raise UsageError(f"--out {path}: the name of the page must end in .html")
    check_target(path, force=force)


def check_png_or_folder(path: Path, *, force: bool, option: str = "--out") -> None:
    """Check an output that is a .png file, or a folder, before any work is done.

    Raises:
        UsageError: It has the suffix of another image format, or its folder does not exist.
        OutputExistsError: It exists, as a file or a folder that is not empty, and ``force`` is not set.
    """
    if path.suffix.lower() == ".png":
        check_target(path, force=force, option=option)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        raise UsageError(f"{option} {path}: give a name ending in .png, or a folder")
    elif os.path.lexists(path) and not path.is_dir():
        raise OutputExistsError(path, "it is not a folder; give another name")
    elif path.is_dir() and any(path.iterdir()) and not force:
        raise OutputExistsError(path, "use --force to write into it, or give another name")
