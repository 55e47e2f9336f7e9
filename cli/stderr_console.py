"""A rich console on standard error that may go away."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich.console import Console

from infogan_tool.runtime.storage.atomic import printable


class StderrConsole(Console):
    """Shows progress; where standard error cannot be written, nothing is shown and the command goes on.

    rich itself ends the process where a pipe has no reader, and redirects standard *output*, with the
    results, to the null device.

    Args:
        stream: Standard error, if it is another stream.
        options: Of :class:`rich.console.Console`.
    """

    def __init__(self, stream: IO[str] | None = None, **options: Any) -> None:  # noqa: ANN401
        stream = sys.stderr if stream is None else stream
        file = None if stream is None else cast("IO[str]", _Forgiving(stream))
        super().__init__(stderr=True, file=file, markup=False, highlight=False, **options)


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Show one line that moves while the block runs; the function that it yields changes the text."""
    with StderrConsole().status("starting") as status:
        yield lambda text: status.update(printable(text))


class _Forgiving:
    """A stream whose errors of writing are ignored."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of the stream
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()
