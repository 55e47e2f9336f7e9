"""Where ``encode`` puts codes, errors and what the network saw."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TextIO

from infogan_tool.cli import output
from infogan_tool.runtime.bulk.output.formats import CsvFormat, JsonFormat, error_line, records
from infogan_tool.runtime.errors import OutputExistsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infogan_tool.cli.encode.run import OutFormat
    from infogan_tool.runtime.bulk.encode.encoded import Encoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import Format
    from infogan_tool.runtime.bundle.bundle import Bundle

__all__ = ["ErrorList", "Printer", "ShownInput", "check_shown", "open_format"]

_ON_A_SHEET: Final = 1024
_COLUMNS: Final = 32
_OTHER_IMAGES: Final = (".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def open_format(chosen: OutFormat, bundle: Bundle) -> Format:
    """Return the format of that name."""
    if chosen == "parquet":
        from infogan_tool.runtime.bulk.output.arrow import ParquetFormat

        return ParquetFormat(bundle)
    return CsvFormat(bundle) if chosen == "csv" else JsonFormat(bundle)


class Printer:
    """Codes on standard output, in a format or as a table.

    Args:
        bundle: The opened bundle.
        made: The format; None is the table.
        names: Names of the first images, for the width of their column.
        stream: See :func:`infogan_tool.cli.output.emit`.
    """

    def __init__(
        self, bundle: Bundle, made: Format | None, names: Sequence[str], stream: TextIO | None = None
    ) -> None:
        from infogan_tool.cli.encode.table import CodesTable

        self._made = made
        self._stream = stream
        self._bundle = bundle
        self._table = None if made else CodesTable(bundle.metadata, names)
        self._headed = False
        self.num_ood = 0
        """Number of images that are out of distribution."""

    def take(self, encoded: Encoded) -> None:
        """Print the records of a chunk."""
        posterior = encoded.posterior
        if posterior is None:
            return
        if self._made is None:
            assert self._table is not None
            for record in records(self._bundle, encoded.names, posterior):
                self.num_ood += record.get("ood") is True
                output.emit(self._table.line(record), self._stream)
            return
        text = encoded.block(self._made).decode()
        if not self._headed:
            text = self._made.head().decode() + text
            self._headed = True
        output.emit(text.removesuffix("\n"), self._stream)


class ErrorList:
    """Tells what cannot be read, one line each on standard error, and keeps the JSON lines of it."""

    def __init__(self) -> None:
        self.lines = b""
        """The JSON lines since they were last cleared."""

    def take(self, chunk: Chunk, failures: Mapping[int, str]) -> None:
        """Tell the failures of a chunk, by their place in it."""
        if not failures:
            return
        names = chunk.names
        for place, message in sorted(failures.items()):
            output.error(message)
            self.lines += error_line(names[place], message)


class ShownInput:
    """``--show-input``: a PNG of one image, a sheet of several, or a folder with a PNG for each."""

    def __init__(self, path: Path, number: int = 0) -> None:
        self._path = path
        self._as_sheet = path.suffix.lower() == ".png"
        self._number = number
        self._kept: list[Any] = []
        self._more = False
        if not self._as_sheet:
            path.mkdir(parents=True, exist_ok=True)

    def take(self, encoded: Encoded) -> None:
        """Write, or keep for the sheet, what the network saw of a chunk."""
        places = [place for place in range(len(encoded.chunk.names)) if place not in encoded.failures]
        if self._as_sheet:
            room = _ON_A_SHEET - len(self._kept)
            self._kept += list(encoded.images[:room])
            self._more |= len(encoded.images) > room
        else:
            from infogan_tool.runtime.images.files import save_png

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
        columns = min(_COLUMNS, int(np.ceil(np.sqrt(len(images)))))
        save_png(self._path, images[0] if len(images) == 1 else sheet(images, columns))
        if self._more:
            output.note(f"{self._path} shows the first {_ON_A_SHEET:,} images; a folder gets them all")


def check_shown(path: Path, *, force: bool) -> None:
    """Refuse ``--show-input`` before any work is done.

    Raises:
        UsageError: It is another kind of image, or its folder is not there.
        OutputExistsError: It is already there, or a folder that is not empty, and ``force`` is not set.
    """
    if path.suffix.lower() == ".png":
        output.check_target(path, force=force, option="--show-input")
        return
    if path.suffix.lower() in _OTHER_IMAGES:
        raise UsageError(f"--show-input {path}: a .png file, or a folder, which has no such ending")
    if os.path.lexists(path) and not path.is_dir():
        raise OutputExistsError(path, "it is not a folder; name another")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputExistsError(path, "use --force to write into it, or name another")
