"""Number of images in an array or Parquet file, from its header."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, BinaryIO, cast

from infogan_tool.runtime.bulk.inputs.arrays import image_arrays, read_header
from infogan_tool.runtime.bulk.inputs.value_scaling import axes_of
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.idx import open_idx
from infogan_tool.runtime.storage.atomic import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator


def count_images(path: str, column: str | None = None) -> int | None:
    """Return the number of images according to the header; None if it cannot be read."""
    try:
        with open_regular(path) as file:
            head = file.read(4)
            file.seek(0)
            if head == b"PAR1":
                from infogan_tool.runtime.bulk.inputs.parquet import import_pyarrow  # noqa: PLC0415

                return int(import_pyarrow("reading Parquet").parquet.ParquetFile(file).metadata.num_rows)
            if head == b"\x93NUM":
                return _images(read_header(file)[0])
            if head[:2] == b"PK":
                return sum(_in_archive(file, column))
        with open_idx(path, 3) as stream:
            return stream.shape[0]
    except (OSError, ValueError, DataError, ImportError, zipfile.BadZipFile):
        return None


def _images(shape: tuple[int, ...]) -> int:
    return 1 if axes_of(shape) in ("HW", "HWC") else shape[0]


def _in_archive(file: BinaryIO, column: str | None) -> Iterator[int]:
    with zipfile.ZipFile(file) as archive:
        for member in image_arrays(archive, column):
            with archive.open(member) as stream:
                yield _images(read_header(cast("BinaryIO", stream))[0])
