"""Codes of all images of some inputs, chunk by chunk, for commands that look at a whole folder."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import typer

from infogan_tool.cli import output
from infogan_tool.cli.encode.show import report_failures
from infogan_tool.cli.progress import Progress
from infogan_tool.runtime.errors import ExitCode, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bundle.bundle import Bundle


class Collection:
    """The images of some inputs; iterate over it once to encode them.

    Args:
        bundle: Opened with one thread.
        paths: Inputs, as those of ``encode``.
        threads: CPU cores to use; None: all.
        progress: See :class:`~infogan_tool.cli.progress.Progress`.
    """

    def __init__(
        self, bundle: Bundle, paths: Sequence[str], *, threads: int | None, progress: bool | None
    ) -> None:
        self._bundle, self._paths, self._threads, self._progress = bundle, paths, threads, progress
        self.done = 0
        """Images that were encoded so far."""
        self.failed = 0
        """Inputs that could not be read; each was reported."""

    def __iter__(self) -> Iterator[Encoded]:
        """Yield the chunks that have an image.

        Raises:
            Exit: No image could be read; each was reported.
            ImageError: There is none.
        """
        from infogan_tool.runtime.bulk.encode.pipeline import encode_chunks
        from infogan_tool.runtime.bulk.inputs.sources import Inputs

        stdin = sys.stdin.buffer if sys.stdin is not None else None
        inputs = Inputs(self._paths, self._bundle.image, stdin=stdin)
        if self._bundle.fallback:
            output.note(self._bundle.fallback)
        encoding = encode_chunks(self._bundle, inputs.chunks(), processes=self._threads)
        progress = Progress(inputs.count, done=0, wanted=self._progress, bar=True)
        with progress, closing(encoding):
            for encoded in encoding:
                report_failures(encoded.chunk, encoded.failures)
                self.failed += len(encoded.failures)
                if encoded.names:
                    yield encoded
                self.done += len(encoded.names)
                progress.update(self.done + self.failed)
        if not self.done and self.failed:
            raise typer.Exit(ExitCode.FAILURE)  # why was said of each input
        if not self.done:
            raise ImageError("the inputs contain no image")

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of a command that used all images that could be read."""
        if not self.failed:
            return ExitCode.SUCCESS
        output.note(f"{self.failed:,} of {output.plural(self.done + self.failed, 'image')} failed")
        return ExitCode.SOME_FAILED
