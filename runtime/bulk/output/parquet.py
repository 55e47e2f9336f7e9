"""Codes as Parquet: appended as an Arrow stream, from which the Parquet file is written at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.bulk.inputs.parquet import import_pyarrow
from infogan_tool.runtime.bulk.output.columns import columns_of
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
        self._metadata = bundle.metadata
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
        columns: list[Any] = [[name.encode("utf-8", "backslashreplace").decode() for name in names]]
        for column, code in enumerate(self._metadata.latent.categorical_names):
            indices = posterior.categories[:, column]
            columns += [indices, [self._metadata.label(code, index) for index in indices.tolist()]]
            columns += [posterior.confidence[:, column], *posterior.probabilities[column].T]
        for column in range(posterior.style_mean.shape[1]):
            columns += [posterior.style_mean[:, column], posterior.style_std[:, column]]
        columns += [values for values in (posterior.ood, posterior.distance) if values is not None]
        columns += [posterior.low_confidence] if self._metadata.latent.categorical else []
        arrays = [
            self._pa.array(values, type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
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
