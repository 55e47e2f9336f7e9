"""What ``encode`` prints, and the images of ``--show-input``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TextIO

from infogan_tool.cli import output
from infogan_tool.cli.encode.table import CodesTable
from infogan_tool.runtime.bulk.output.formats import error_line
from infogan_tool.runtime.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infogan_tool.cli.encode.options import EncodeOptions
    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import RecordFormat
    from infogan_tool.runtime.bundle.bundle import Bundle

_MAX_ON_SHEET: Final = 1024
_MAX_COLUMNS: Final = 32


class Printer:
    """Codes on standard output, in a format or as a table.

    Args:
        bundle: The opened bundle.
        record_format: The format; None for the table.
        names: Names of the first images, from which the table takes the width of their column.
        stream: See :func:`infogan_tool.cli.output.emit`.
    """

    def __init__(
        self,
        bundle: Bundle,
        record_format: RecordFormat | None,
        names: Sequence[str],
        stream: TextIO | None = None,
    ) -> None:
        self._format = record_format
        self._stream = stream
        self._table = None if record_format else CodesTable(bundle.metadata, names)
        self._header = (record_format.header() if record_format else b"").decode()
        self.num_ood = 0
        """Number of images that the table flags as out of distribution."""

    def print(self, encoded: Encoded) -> None:
        """Print the codes of a chunk."""
        if not encoded.names:
            return
        if self._format is not None:
            text = self._header + self._format.rows(encoded.names, encoded.posterior).decode()
            self._header = ""
            output.emit(text.removesuffix("\n"), self._stream)
            return
        assert self._table is not None
        for line in self._table.lines(encoded.names, encoded.posterior):
            output.emit(line, self._stream)
        if encoded.posterior.ood is not None:
            self.num_ood += int(encoded.posterior.ood.sum())


def report_failures(chunk: Chunk, failures: Mapping[int, str]) -> bytes:
    """Print a line on standard error for each input of a chunk that failed; return their JSON lines.

    Args:
        chunk: The chunk.
        failures: Error message by place in the chunk.
    """
    if not failures:
        return b""
    names = chunk.names
    for _, message in sorted(failures.items()):
        output.error(message)
    return b"".join(error_line(names[place], message) for place, message in sorted(failures.items()))


def report_result(options: EncodeOptions, done: int, failed: int, num_ood: int) -> int:
    """Print a summary on standard error and return the exit code.

    Args:
        options: The options of the command.
        done: Number of images that were encoded.
        failed: Number of inputs that failed.
        num_ood: Number of images that the table flags as out of distribution.
    """
    if num_ood:
        verb, their = ("is", "its") if num_ood == 1 else ("are", "their")
        output.note(
            f"ood: {output.plural(num_ood, 'image')} {verb} out of distribution (unlike the training "
            f"images); do not rely on {their} codes"
        )
    if not done:
        if not failed:
            output.error("the inputs contain no image")
        return ExitCode.FAILURE
    if options.out:
        output.note(f"wrote the codes of {output.plural(done, 'image')} to {options.out}")
    if failed:
        output.note(f"{failed:,} of {output.plural(done + failed, 'image')} failed")
        return ExitCode.SOME_FAILED
    return ExitCode.SUCCESS


class InputImages:
    """Images of ``--show-input``: a PNG of one image, a sheet of several, or a folder with one PNG each.

    Args:
        path: File name ending in .png, or the folder.
        number: Number of the first input, for the file names in the folder.
    """

    def __init__(self, path: Path, number: int = 0) -> None:
        self._path = path
        self._as_sheet = path.suffix.lower() == ".png"
        self._number = number
        self._kept: list[Any] = []
        self._left_out = False

    def add(self, encoded: Encoded) -> None:
        """Write the network's inputs of a chunk, or keep them for the sheet."""
        if self._as_sheet:
            room = _MAX_ON_SHEET - len(self._kept)
            self._kept += list(encoded.images[:room])
            self._left_out |= len(encoded.images) > room
        else:
            from infogan_tool.runtime.images.files import save_png

            self._path.mkdir(parents=True, exist_ok=True)
            places = (place for place in range(len(encoded.chunk.names)) if place not in encoded.failures)
            for place, image in zip(places, encoded.images, strict=True):
                save_png(self._path / f"{self._number + place:06d}.png", image)
        self._number += len(encoded.chunk.names)

    def finish(self) -> None:
        """Write the sheet."""
        if not self._kept:
            return
        import numpy as np

        from infogan_tool.runtime.images.arrays import sheet
        from infogan_tool.runtime.images.files import save_png

        images = np.stack(self._kept)
        columns = min(_MAX_COLUMNS, int(np.ceil(np.sqrt(len(images)))))
        save_png(self._path, images[0] if len(images) == 1 else sheet(images, columns))
        if self._left_out:
            output.note(f"{self._path} shows the first {_MAX_ON_SHEET:,} images; a folder gets them all")
