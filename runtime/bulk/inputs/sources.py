"""Command-line arguments to chunks of images, in order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from infogan_tool.runtime.bulk.inputs.chunks import (
    CHUNK_BYTES,
    CHUNK_IMAGES,
    BlobChunk,
    Failed,
    FileChunk,
)
from infogan_tool.runtime.bulk.inputs.walk import is_pattern, match, walk
from infogan_tool.runtime.errors import DataError, UsageError
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES, container_format
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.images.spec import ImageSpec

STDIN: Final = "-"
"""The argument for standard input."""
_HEAD: Final = 8


@dataclass(frozen=True, slots=True)
class Container:
    """A file with many images."""

    path: str
    chunks: Callable[[], Iterator[Chunk]]
    """Yields its chunks."""
    count: Callable[[], int]
    """Returns the number of its images, from its header; raises an exception if it cannot be read."""


class Inputs:
    """The inputs of a run, which can be iterated over once.

    Args:
        arguments: Files, folders, patterns; ``-`` is standard input.
        spec: The bundle's image spec; its size limits the images in a chunk.
        column: Column of Parquet files, or array of .npz files, that has the images.
        stdin: Standard input; None if it is closed.

    Raises:
        UsageError: ``-`` is given twice, or an argument is empty.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        spec: ImageSpec,
        *,
        column: str | None = None,
        stdin: BinaryIO | None = None,
    ) -> None:
        if list(arguments).count(STDIN) > 1:
            raise UsageError("- (standard input) is given twice: give it once")
        if "" in arguments:
            raise UsageError("an argument is empty: give the name of an image")
        self._arguments = arguments
        self._column = column
        self._stdin = stdin
        image_bytes = spec.channels * spec.size * spec.size
        self._max_images = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // image_bytes))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks; inputs are listed lazily.

        Raises:
            UsageError: Standard input is closed, or is a file that cannot be streamed.
            MissingExtraError: An input is a Parquet file and pyarrow is not installed.
        """
        names: list[str] = []
        failed: dict[int, Failed] = {}
        for entry in self._entries():
            if isinstance(entry, Container):
                if names:
                    yield FileChunk(names, failed)
                    names, failed = [], {}
                yield from self._container_chunks(entry)
                continue
            if isinstance(entry, Failed):
                failed[len(names)] = entry
                names.append(entry.name)
            else:
                names.append(entry)
            if len(names) == self._max_images:
                yield FileChunk(names, failed)
                names, failed = [], {}
        if names:
            yield FileChunk(names, failed)

    def count(self) -> int | None:
        """Count the inputs by listing them again; None if standard input is among them.

        The count is for progress only: it is wrong if files are added or removed meanwhile.

        Raises:
            Exception: A file with many images cannot be read.
        """
        if STDIN in self._arguments:
            return None
        return sum(entry.count() if isinstance(entry, Container) else 1 for entry in self._entries())

    def _entries(self) -> Iterator[str | Failed | Container]:
        for argument in self._arguments:
            if argument == STDIN:
                yield from self._from_stdin()
            elif is_pattern(argument):
                found = False
                for path in match(argument):
                    found = True
                    yield self._classify(path) if isinstance(path, str) else path
                if not found:
                    yield Failed(argument, f"{printable(argument)}: no file matches this pattern")
            else:
                yield from self._expand(argument)

    def _from_stdin(self) -> Iterator[str | Failed | Container]:
        from infogan_tool.runtime.bulk.inputs.stdin_list import read_stdin  # noqa: PLC0415 - rarely asked for

        if self._stdin is None:
            raise UsageError("standard input is closed: - cannot be read")
        found = read_stdin(self._stdin)
        if isinstance(found, bytes):
            blob = found
            yield Container(STDIN, lambda: iter((BlobChunk([STDIN], [blob]),)), lambda: 1)
            return
        for path in found:
            if isinstance(path, Failed):
                yield path
            else:
                yield from self._expand(path)

    def _expand(self, path: str) -> Iterator[str | Failed | Container]:
        """Yield a file, or the images in a folder; patterns are not expanded."""
        if not os.path.isdir(path):  # noqa: PTH112
            yield self._classify(path)
            return
        found = False
        for inner in walk(path, _is_image):
            found = True
            yield inner
        if not found:
            yield Failed(
                path,
                f"{printable(path)}: the folder has no image (.png, .jpg, ...); name arrays and Parquet "
                "files themselves",
            )

    def _classify(self, path: str) -> str | Failed | Container:
        return path if _is_image(path) else _container(path, self._column, self._max_images)

    @staticmethod
    def _container_chunks(container: Container) -> Iterator[Chunk]:
        """Yield the chunks of a container; if it is damaged, those before the damage and one failed input."""
        try:
            yield from container.chunks()
        except DataError as error:
            yield FileChunk([container.path], {0: Failed(container.path, str(error))})


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def _container(  # noqa: PLR0911 - a table
    path: str, column: str | None, most: int
) -> str | Failed | Container:
    """Return the container of a file whose name is not that of an image, or its path if it is none."""
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        return Failed(path, f"{printable(path)}: {error.strerror or error}")
    except ValueError as error:
        return Failed(path, printable(error))
    kind = container_format(head)
    # Only now, and only for these: an image needs neither.
    if kind == "parquet":
        from infogan_tool.runtime.bulk.inputs import parquet  # noqa: PLC0415

        return Container(
            path, partial(parquet.parquet_chunks, path, column, most), partial(parquet.count_parquet, path)
        )
    if kind is not None:
        from infogan_tool.runtime.bulk.inputs import arrays  # noqa: PLC0415

        if kind == "npy":
            return Container(path, partial(arrays.npy_chunks, path, most), partial(arrays.count_npy, path))
        if kind == "npz":
            return Container(
                path, partial(arrays.npz_chunks, path, column, most), partial(arrays.count_npz, path, column)
            )
        return Container(path, partial(arrays.idx_chunks, path, most), partial(arrays.count_idx, path))
    return path
