"""Codes as Parquet: appended as an Arrow stream, from which the Parquet file is written at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.bulk.inputs.parquet import import_pyarrow
from infogan_tool.runtime.bulk.output.columns import columns_of, values_of
from infogan_tool.runtime.storage.atomic import atomic_open

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.reading import Posterior

_ROW_GROUP: Final = 65_536
"""Rows of a group, which is held in memory."""


class ParquetFormat:
    """The columns of the CSV, with types; numbers are float32 as the encoder returns them.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._pa = pa = import_pyarrow("writing Parquet")
        latent = bundle.latent
        self._labels = [
            [bundle.metadata.label(code, index) for index in range(size)]
            for code, size in zip(latent.categorical_names, latent.categorical, strict=True)
        ]
        types = {"text": pa.string(), "index": pa.int32(), "number": pa.float32(), "flag": pa.bool_()}
        self._schema = pa.schema(
            [(name, types[kind]) for name, kind in columns_of(bundle.metadata)],
            metadata={"infogan.bundle_id": bundle.metadata.bundle_id, "infogan.provider": bundle.provider},
        )

    def header(self) -> bytes:
        """Return the beginning of an Arrow stream."""
        return bytes(self._schema.serialize())

    def rows(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return the records as a message of an Arrow stream."""
        # Arrow strings are UTF-8: bytes of a name that are not Unicode are escaped, as in the CSV.
        texts = [name.encode("utf-8", "backslashreplace").decode() for name in names]
        columns = zip(values_of(texts, posterior, self._labels), self._schema, strict=True)
        arrays = [self._pa.array(values, type=field.type) for values, field in columns]
        return bytes(self._pa.record_batch(arrays, schema=self._schema).serialize())

    def convert(self, part: Path, target: Path) -> None:
        """Write the Parquet file from an Arrow stream in the file ``part``."""
        with self._pa.OSFile(str(part)) as stream:
            self._copy(stream, target)

    def write(self, target: Path, content: bytes) -> None:
        """Write the Parquet file from an Arrow stream in memory."""
        self._copy(self._pa.BufferReader(content), target)

    def _copy(self, stream: Any, target: Path) -> None:  # noqa: ANN401 - pyarrow has no types
        reader = self._pa.ipc.open_stream(stream)
        with (
            atomic_open(target) as file,
            self._pa.parquet.ParquetWriter(file, self._schema, compression="zstd") as writer,
        ):
            for table in self._groups(reader):
                writer.write_table(table, row_group_size=_ROW_GROUP)

    def _groups(self, reader: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
        batches, held = [], 0
        for batch in reader:
            batches.append(batch)
            held += batch.num_rows
            if held >= _ROW_GROUP:
                yield self._pa.Table.from_batches(batches, self._schema)
                batches, held = [], 0
        if batches:
            yield self._pa.Table.from_batches(batches, self._schema)
