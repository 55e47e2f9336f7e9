"""Images in Parquet files: a column with the contents of image files, as Hugging Face data sets have.

The column has bytes, or a struct with a field ``bytes``. Row groups are streamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.bulk.inputs.arrays import fingerprint_of
from infogan_tool.runtime.bulk.inputs.chunks import CHUNK_BYTES, BlobChunk, Failed
from infogan_tool.runtime.errors import DataError, MissingExtraError
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_USUAL: Final = ("image", "img", "picture", "images")
_BATCH: Final = 64


def import_pyarrow(what: str) -> Any:  # noqa: ANN401 - a module without types
    """Import pyarrow and its Parquet module.

    Raises:
        MissingExtraError: pyarrow is not installed; ``what`` begins the message.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(what, "parquet") from error
    return pa


def parquet_chunks(path: str, column: str | None, most: int) -> Iterator[BlobChunk]:
    """Yield the images of a Parquet file; ``file.parquet#17`` is row 17, from 0.

    Args:
        path: The file.
        column: The column of images; None detects it.
        most: Images in a chunk.

    Raises:
        DataError: The file cannot be read, or the column does not exist or is ambiguous.
        MissingExtraError: pyarrow is not installed.
    """
    pa = import_pyarrow("reading Parquet")
    shown = printable(path)
    try:
        with open_regular(path) as file, pa.parquet.ParquetFile(file, pre_buffer=False) as table:
            chosen = _column(pa, table.schema_arrow, column)
            yield from _chunks(path, fingerprint_of(path), _contents(table, chosen), most)
    except OSError as error:
        raise DataError(f"{shown}: {error.strerror or _first_line(error)}") from error
    except (pa.ArrowException, ValueError) as error:
        text = _first_line(error)
        raise DataError(text if text.startswith(shown) else f"{shown}: {text}") from error


def count_parquet(path: str) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    with open_regular(path) as file:
        return int(import_pyarrow("reading Parquet").parquet.ParquetFile(file).metadata.num_rows)


def _column(pa: Any, schema: Any, wanted: str | None) -> str:  # noqa: ANN401 - pyarrow has no types
    fitting = [field.name for field in schema if _holds_bytes(pa, field.type)]
    if wanted is not None:
        if wanted in fitting:
            return wanted
        problem = "has no image bytes" if wanted in schema.names else "does not exist"
        raise ValueError(f"column {wanted} {problem} (with bytes: {_listed(fitting)})")
    usual = [name for name in _USUAL if name in fitting]
    if usual or len(fitting) == 1:
        return str((usual or fitting)[0])
    if not fitting:
        raise ValueError(f"no column has image bytes (columns: {_listed(schema.names)})")
    raise ValueError(f"several columns have bytes ({_listed(fitting)}): choose one with --column")


def _listed(names: list[str]) -> str:
    return ", ".join(printable(name) for name in names[:10]) or "none"


def _holds_bytes(pa: Any, kind: Any) -> bool:  # noqa: ANN401
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(pa, kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _contents(table: Any, column: str) -> Iterator[bytes | None]:  # noqa: ANN401
    for batch in table.iter_batches(batch_size=_BATCH, columns=[column]):
        values = batch.column(batch.schema.get_field_index(column))
        for value in values:
            content = value.as_py()
            yield content.get("bytes") if isinstance(content, dict) else content


def _chunks(
    path: str, fingerprint: bytes, contents: Iterator[bytes | None], most: int
) -> Iterator[BlobChunk]:
    names: list[str] = []
    blobs: list[bytes | Failed] = []
    held = 0
    for row, content in enumerate(contents):
        names.append(f"{path}#{row}")
        blobs.append(
            Failed(names[-1], f"{printable(names[-1])}: no image bytes in this row")
            if content is None
            else content
        )
        held += len(content or b"")
        if len(names) == most or held >= CHUNK_BYTES:
            yield BlobChunk(names, blobs, fingerprint)
            names, blobs, held = [], [], 0
    if names:
        yield BlobChunk(names, blobs, fingerprint)


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().partition("\n")[0][:200]) or type(error).__name__
