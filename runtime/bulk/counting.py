"""How many pictures a container holds, by its header alone."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, BinaryIO, cast

from infogan_tool.runtime.bulk.arrays import picture_arrays, read_header
from infogan_tool.runtime.bulk.levels import layout_of
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.files import open_regular
from infogan_tool.runtime.idx import open_idx

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["count_pictures"]


def count_pictures(path: str, column: str | None = None) -> int | None:
    """Return the number of pictures that the headers of a container announce; None if they cannot be read."""
    try:
        with open_regular(path) as file:
            head = file.read(4)
            file.seek(0)
            if head == b"PAR1":
                from infogan_tool.runtime.bulk.parquet import import_pyarrow  # noqa: PLC0415

                return int(import_pyarrow("reading Parquet").parquet.ParquetFile(file).metadata.num_rows)
            if head == b"\x93NUM":
                return _pictures(read_header(file)[0])
            if head[:2] == b"PK":
                return sum(_in_archive(file, column))
        with open_idx(path, 3) as stream:
            return stream.shape[0]
    except (OSError, ValueError, DataError, ImportError, zipfile.BadZipFile):
        return None


def _pictures(shape: tuple[int, ...]) -> int:
    return 1 if layout_of(shape) in ("HW", "HWC") else shape[0]


def _in_archive(file: BinaryIO, column: str | None) -> Iterator[int]:
    with zipfile.ZipFile(file) as archive:
        for member in picture_arrays(archive, column):
            with archive.open(member) as stream:
                yield _pictures(read_header(cast("BinaryIO", stream))[0])
