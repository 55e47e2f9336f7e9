"""Codes as Parquet: appended as an Arrow stream, which can be cut and gone on with, then written whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.bulk.inputs.parquet import import_pyarrow
from infogan_tool.runtime.storage.atomic import atomic_open

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior

__all__ = ["ParquetFormat"]

_ROW_GROUP: Final = 65_536
"""Rows that are held at once, however many there are."""


class ParquetFormat:
    """The columns of the CSV, with types; numbers as the encoder gave them.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._pa = import_pyarrow("writing Parquet")
        self._metadata = bundle.metadata
        self._schema = self._make_schema(bundle)

    def head(self) -> bytes:
        """Return the beginning of an Arrow stream."""
        return bytes(self._schema.serialize())

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return some images as a message of an Arrow stream."""
        # Arrow's texts are UTF-8: what is no Unicode in a name is escaped, as in the CSV.
        columns: list[Any] = [[name.encode("utf-8", "backslashreplace").decode() for name in names]]
        for place, code in enumerate(self._metadata.latent.categorical_names):
            indices = posterior.categories[:, place]
            columns += [indices, [self._metadata.label(code, index) for index in indices.tolist()]]
            columns += [posterior.confidence[:, place], *posterior.probabilities[place].T]
        for place in range(posterior.style_mean.shape[1]):
            columns += [posterior.style_mean[:, place], posterior.style_std[:, place]]
        columns += [known for known in (posterior.ood, posterior.distance) if known is not None]
        arrays = [
            self._pa.array(values, type=f.type) for values, f in zip(columns, self._schema, strict=True)
        ]
        return bytes(self._pa.record_batch(arrays, schema=self._schema).serialize())

    def convert(self, part: Path, target: Path) -> None:
        """Write the Parquet file from the stream that was appended to ``part``."""
        with self._pa.OSFile(str(part)) as stream:
            self._copy(stream, target)

    def write(self, target: Path, content: bytes) -> None:
        """Write the Parquet file from a stream in memory."""
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

    def _make_schema(self, bundle: Bundle) -> Any:  # noqa: ANN401
        pa, latent = self._pa, self._metadata.latent
        fields = [("path", pa.string())]
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
            fields += [
                (code, pa.int32()),
                (f"{code}_label", pa.string()),
                (f"{code}_confidence", pa.float32()),
            ]
            fields += [(f"{code}_p{index}", pa.float32()) for index in range(size)]
        for code in latent.continuous_names:
            fields += [(code, pa.float32()), (f"{code}_std", pa.float32())]
        if self._metadata.ood is not None:
            fields += [("ood", pa.bool_()), ("distance", pa.float32())]
        about = {"infogan.bundle_id": self._metadata.bundle_id, "infogan.provider": bundle.provider}
        return pa.schema(fields, metadata=about)
