"""Codes as JSON lines and CSV: one template per format, filled in with the values of each image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from infogan_tool.runtime.bulk.output.columns import columns_of, values_of
from infogan_tool.runtime.storage.atomic import printable, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.bundle.reading import Posterior

FormatName = Literal["jsonl", "csv", "parquet"]

_NUMBER: Final = "%.6f"
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula; the last four are their full-width forms."""
_QUOTED: Final = frozenset(',";')
"""Characters that need quotes around a CSV cell; some locales separate cells by semicolons."""


class RecordFormat(Protocol):
    """How records become bytes: a file holds the header, then the rows of each chunk."""

    def header(self) -> bytes:
        """Return the beginning of a file."""

    def rows(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return the records of N images, given their names."""

    def write(self, target: Path, content: bytes) -> None:
        """Write a file, atomically, from a header and its rows."""

    @property
    def convert(self) -> Callable[[Path, Path], None] | None:
        """Function that writes a file from one that holds header and rows; None if that is the file."""


def make_format(name: FormatName, bundle: Bundle) -> RecordFormat:
    """Return the format of that name for a bundle's codes.

    Raises:
        MissingExtraError: The name is ``"parquet"`` and pyarrow is not installed.
    """
    if name == "parquet":
        from infogan_tool.runtime.bulk.output.parquet import ParquetFormat  # noqa: PLC0415 - an extra

        return ParquetFormat(bundle)
    return _CsvFormat(bundle.metadata) if name == "csv" else _JsonFormat(bundle.metadata, bundle.provider)


def error_line(name: str, message: str) -> bytes:
    """Return the JSON line of an input that could not be read."""
    return (json.dumps({"path": name, "error": message}) + "\n").encode()


class _TextFormat:
    """One line per image.

    Args:
        metadata: The bundle's metadata.
        template: %-format of a line, of the values of :func:`~.columns.values_of`.
        quote: Returns a path or a label as it is written; it is given None for a category without a label.
    """

    convert = None

    def __init__(self, metadata: BundleMetadata, template: str, quote: Callable[[str | None], str]) -> None:
        self._template = template
        self._quote = quote
        latent = metadata.latent
        self._labels = [
            [quote(metadata.label(code, index)) for index in range(size)]
            for code, size in zip(latent.categorical_names, latent.categorical, strict=True)
        ]

    def header(self) -> bytes:
        """Return nothing."""
        return b""

    def rows(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return a line for each image."""
        columns = values_of([self._quote(name) for name in names], posterior, self._labels)
        rows = zip(*map(_texts_or_numbers, columns), strict=True)
        return "".join([self._template % row for row in rows]).encode()

    def write(self, target: Path, content: bytes) -> None:
        """Write the lines."""
        write_atomic(target, content)


class _JsonFormat(_TextFormat):
    """One JSON object per line, in ASCII; docs/guide/bulk.md describes it."""

    def __init__(self, metadata: BundleMetadata, provider: str) -> None:
        latent = metadata.latent
        categories = ", ".join(
            f'{{"code": {_escaped(code)}, "index": %d, "label": %s, "confidence": {_NUMBER}, '
            f'"probabilities": [{", ".join([_NUMBER] * size)}]}}'
            for code, size in zip(latent.categorical_names, latent.categorical, strict=True)
        )
        styles = ", ".join(
            f'{{"code": {_escaped(code)}, "name": {_escaped(metadata.style_names.get(code))}, '
            f'"mean": {_NUMBER}, "std": {_NUMBER}}}'
            for code in latent.continuous_names
        )
        ood = f', "ood": %s, "distance": {_NUMBER}' if metadata.ood is not None else ""
        low = ', "low_confidence": %s' if latent.categorical else ""
        super().__init__(
            metadata,
            f'{{"path": %s, "categories": [{categories}], "styles": [{styles}]{ood}{low}, '
            f'"bundle": {_escaped(metadata.bundle_id)}, "provider": {_escaped(provider)}}}\n',
            json.JSONEncoder().encode,
        )


class _CsvFormat(_TextFormat):
    r"""Comma-separated values in UTF-8, with a header row.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Characters of a name that
    are not printable, and bytes that are not Unicode, are written as ``\x1b`` and ``\udcff``.
    """

    def __init__(self, metadata: BundleMetadata) -> None:
        self._columns = columns_of(metadata)
        fields = [_FIELDS.get(kind, _NUMBER) for _, kind in self._columns]
        super().__init__(metadata, ",".join(fields) + "\n", csv_cell)

    def header(self) -> bytes:
        """Return the header row."""
        return (",".join(name for name, _ in self._columns) + "\n").encode()


def _texts_or_numbers(column: Any) -> list[Any]:  # noqa: ANN401 - a list or an array
    if isinstance(column, list):
        return column
    values: list[Any] = column.tolist()
    return ["true" if flag else "false" for flag in values] if column.dtype == bool else values


_FIELDS: Final = {"text": "%s", "flag": "%s", "index": "%d"}


def _escaped(text: str | None) -> str:
    """Return text as JSON in a %-format."""
    return json.dumps(text).replace("%", "%%")


def csv_cell(text: str | None) -> str:
    """Return a text as a cell: escaped, quoted, and no formula; None is empty."""
    text = text or ""
    if not text.isprintable():
        text = printable(text)
    if text.startswith(_FORMULA):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text
