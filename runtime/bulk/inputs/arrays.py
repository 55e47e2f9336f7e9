"""Images in .npy, .npz and IDX files.

Uncompressed files are mapped into memory; compressed ones are streamed. Python objects in an array are never
loaded.
"""

from __future__ import annotations

import math
import os
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from infogan_tool.runtime.bulk.inputs.chunks import CHUNK_BYTES, Failed, FileChunk
from infogan_tool.runtime.bulk.inputs.value_scaling import (
    as_file,
    axes_of,
    is_supported,
    scale_of,
    to_bytes,
)
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.arrays import Scale
from infogan_tool.runtime.images.idx import open_idx
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.images.spec import ImageSpec

_MATRIX, _BATCH = 2, 4


@dataclass(frozen=True, slots=True)
class MappedArray:
    """An array in a file."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    fortran: bool = False


@lru_cache(maxsize=4)
def _mapped(array: MappedArray) -> npt.NDArray[Any]:
    order = "F" if array.fortran else "C"
    return np.memmap(array.path, array.dtype, "r", array.offset, array.shape, cast("Any", order))


@dataclass(frozen=True, slots=True)
class ArrayChunk:
    """Images of an array that is mapped into memory by the process that uses them."""

    array: MappedArray
    prefix: str
    start: int
    stop: int
    axes: str
    """Axes of the array; see :func:`infogan_tool.runtime.bulk.inputs.value_scaling.axes_of`."""
    scale: Scale
    fingerprint: bytes

    @property
    def names(self) -> Sequence[str]:
        """``file.npy#17`` for image 17, from 0."""
        return _names(self.prefix, self.start, self.stop)

    def sources(self) -> Iterable[bytes | Failed]:
        """Yield each image as the content of an image file."""
        images, bad = self._bytes()
        return _as_files(images, bad, self.names)

    def ready(self, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
        """Return the images if none needs preprocessing."""
        images, bad = self._bytes()
        return None if bad.any() or not _is_ready(images, spec, raw=raw) else images

    def _bytes(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        rows = _mapped(self.array)
        if self.axes in ("HW", "HWC"):
            rows = rows[None]
        return to_bytes(np.asarray(rows[self.start : self.stop]), self.axes, self.scale)


@dataclass(frozen=True, slots=True)
class RowsChunk:
    """Images of a stream: uint8 ``(N, H, W, C)``, and which of them have values that are not finite."""

    names: Sequence[str]
    images: npt.NDArray[np.uint8]
    bad: npt.NDArray[np.bool_]
    fingerprint: bytes

    def sources(self) -> Iterable[bytes | Failed]:
        """Yield each image as the content of an image file."""
        return _as_files(self.images, self.bad, self.names)

    def ready(self, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
        """Return the images if none needs preprocessing."""
        return None if self.bad.any() or not _is_ready(self.images, spec, raw=raw) else self.images


def _as_files(
    images: npt.NDArray[np.uint8], bad: npt.NDArray[np.bool_], names: Sequence[str]
) -> Iterator[bytes | Failed]:
    for image, is_bad, name in zip(images, bad, names, strict=True):
        yield (
            Failed(name, f"{printable(name)}: it has values that are not finite")
            if is_bad
            else as_file(image)
        )


def _is_ready(images: npt.NDArray[np.uint8], spec: ImageSpec, *, raw: bool) -> bool:
    if images.shape[1:] != (spec.size, spec.size, spec.channels):
        return False
    return bool(matches_preprocessing(images[..., 0], None if raw else spec.preprocessing).all())


def _names(prefix: str, start: int, stop: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(start, stop)]


def _rows_a_chunk(shape: tuple[int, ...], itemsize: int, most: int) -> int:
    return max(1, min(most, CHUNK_BYTES // max(1, math.prod(shape[1:]) * itemsize)))


def fingerprint_of(path: str) -> bytes:
    """Return size and modification time of a file, which must be the same in a resumed run."""
    status = os.stat(path)  # noqa: PTH116 - the path as the user gave it
    return f"{status.st_size} {status.st_mtime_ns}".encode()


# --- plain files -------------------------------------------------------------------------------------------


def count_idx(path: str) -> int:
    """Return the number of images of an IDX file, from its header."""
    with open_idx(path, 3) as stream:
        return stream.shape[0]


def idx_chunks(path: str, most: int) -> Iterator[Chunk]:
    """Yield the images of an IDX file, plain or gzipped; ``file#17`` is image 17, from 0.

    A chunk has at most ``most`` images.

    Raises:
        DataError: The file cannot be read, is damaged, or has labels.
    """
    with open_idx(path, 3) as stream:
        stream.check_size()
        fingerprint = fingerprint_of(path)
        if not stream.packed:
            array = MappedArray(path, "|u1", stream.shape, stream.offset)
            yield from _mapped_chunks(array, f"{path}#", "NHW", Scale(0, 1), fingerprint, most=most)
            return
        step = _rows_a_chunk(stream.shape, 1, most)
        for start in range(0, stream.shape[0], step):
            stop = min(start + step, stream.shape[0])
            rows = np.empty((stop - start, *stream.shape[1:]), np.uint8)
            stream.fill(rows.reshape(-1).data)
            yield RowsChunk(
                _names(f"{path}#", start, stop), rows[..., None], np.zeros(len(rows), bool), fingerprint
            )
        stream.finish()


def npy_chunks(path: str, most: int) -> Iterator[Chunk]:
    """Yield the images of a .npy file, which is mapped into memory; ``file.npy#17`` is image 17, from 0.

    A chunk has at most ``most`` images.

    Raises:
        DataError: The file cannot be read, or its array has no images.
    """
    with _named_errors(path), open_regular(path) as file:
        shape, fortran, dtype = _read_header(file)
        offset = file.tell()
        stored, needed = os.fstat(file.fileno()).st_size - offset, math.prod(shape) * dtype.itemsize
        if stored < needed:
            raise ValueError(f"truncated: {needed:,} bytes expected, {stored:,} in the file")
        axes = axes_of(shape)
        array = MappedArray(path, dtype.str, shape, offset, fortran)
        mapped = _mapped(array)
        blocks = (mapped[None],) if axes in ("HW", "HWC") else _blocks(mapped, most)
        scale = scale_of(dtype, blocks)
        fingerprint = fingerprint_of(path)
    yield from _mapped_chunks(array, f"{path}#", axes, scale, fingerprint, most=most)


def _blocks(mapped: npt.NDArray[Any], most: int) -> Iterator[npt.NDArray[Any]]:
    step = _rows_a_chunk(mapped.shape, mapped.itemsize, most)
    return (mapped[start : start + step] for start in range(0, len(mapped), step))


def _mapped_chunks(
    array: MappedArray, prefix: str, axes: str, scale: Scale, fingerprint: bytes, *, most: int
) -> Iterator[ArrayChunk]:
    single = axes in ("HW", "HWC")
    count = 1 if single else array.shape[0]
    step = 1 if single else _rows_a_chunk(array.shape, np.dtype(array.dtype).itemsize, most)
    for start in range(0, count, step):
        yield ArrayChunk(array, prefix, start, min(start + step, count), axes, scale, fingerprint)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether it is in Fortran order, and type; the file is then at the start of the data."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("the array has Python objects, which are not loaded")
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError("the array's shape is not valid")
    return shape, fortran, dtype


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    """Turn exceptions into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{printable(path)}: {error.strerror or printable(error)}") from error
    except Exception as error:  # numpy and zipfile raise any exception on damaged files
        reason = printable(str(error).partition("\n")[0][:200])
        shown = printable(path)
        raise DataError(reason if reason.startswith(shown) else f"{shown}: {reason}") from error


def count_npy(path: str) -> int:
    """Return the number of images of a .npy file, from its header."""
    with open_regular(path) as file:
        return _count(_read_header(file)[0])


def _count(shape: tuple[int, ...]) -> int:
    return 1 if axes_of(shape) in ("HW", "HWC") else shape[0]


# --- .npz --------------------------------------------------------------------------------------------------


def npz_chunks(path: str, wanted: str | None, most: int) -> Iterator[Chunk]:
    """Yield the images of a .npz file as a stream; image 17 of array ``x`` is ``file.npz#x/17``.

    Args:
        path: The file.
        wanted: The array to read; None reads all arrays of three or four dimensions, or of two if there are
            no others.
        most: Images in a chunk.

    Raises:
        DataError: The file cannot be read, or has no array of images.
    """
    with _named_errors(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        fingerprint = fingerprint_of(path)
        for member in _image_arrays(archive, wanted):
            prefix = f"{path}#{member.removesuffix('.npy')}/"
            scale = None
            with archive.open(member) as stream:
                shape, fortran, dtype = _read_header(cast("BinaryIO", stream))
                if fortran:  # would have to be in memory as a whole
                    name = prefix[:-1]
                    message = f"{printable(name)} is in Fortran order: save it in C order"
                    yield FileChunk([name], {0: Failed(name, message)}, fingerprint)
                    continue
                axes = axes_of(shape)
                if dtype.kind == "f":
                    scale = scale_of(dtype, (rows for _, rows in _streamed(stream, shape, dtype, axes, most)))
            with archive.open(member) as stream:
                _read_header(cast("BinaryIO", stream))
                for start, rows in _streamed(stream, shape, dtype, axes, most):
                    images, bad = to_bytes(rows, axes, scale or scale_of(dtype, ()))
                    yield RowsChunk(_names(prefix, start, start + len(rows)), images, bad, fingerprint)


def count_npz(path: str, wanted: str | None = None) -> int:
    """Return the number of images that :func:`npz_chunks` yields, from the headers of the arrays."""
    total = 0
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        for member in _image_arrays(archive, wanted):
            with archive.open(member) as stream:
                shape, fortran, _ = _read_header(cast("BinaryIO", stream))
                total += 1 if fortran else _count(shape)  # in Fortran order it is one failed input
    return total


def _image_arrays(archive: zipfile.ZipFile, wanted: str | None) -> list[str]:
    """Return the members that :func:`npz_chunks` reads; raise ValueError if there is none."""
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    if wanted is not None:
        if f"{wanted}.npy" not in members:
            known = ", ".join(printable(name.removesuffix(".npy")) for name in members[:10])
            raise ValueError(f"it has no array {wanted} (arrays: {known})")
        return [f"{wanted}.npy"]
    depths = {}
    for member in members:
        with archive.open(member) as stream:
            shape, _, dtype = _read_header(cast("BinaryIO", stream))
        if is_supported(dtype) and _MATRIX <= len(shape) <= _BATCH:
            depths[member] = len(shape)
    deep = [member for member, depth in depths.items() if depth > _MATRIX]
    if not depths:
        raise ValueError("it has no array of images (uint8, uint16, bool or float, two to four dimensions)")
    return deep or list(depths)


def _streamed(
    stream: Any,  # noqa: ANN401 - zipfile's reader
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    most: int,
) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield the rows after a header in blocks, each with the number of its first row."""
    if axes in ("HW", "HWC"):
        shape = (1, *shape)
    step = _rows_a_chunk(shape, dtype.itemsize, most)
    if math.prod(shape[1:]) * dtype.itemsize > 1 << 30:
        raise ValueError(f"images of {' x '.join(map(str, shape[1:]))} are too large: at most 1 GiB each")
    for start in range(0, shape[0], step):
        count = min(step, shape[0] - start)
        content = stream.read(count * math.prod(shape[1:]) * dtype.itemsize)
        if len(content) < count * math.prod(shape[1:]) * dtype.itemsize:
            raise ValueError("truncated: it ends within its array")
        yield start, np.frombuffer(content, dtype).reshape(count, *shape[1:])
