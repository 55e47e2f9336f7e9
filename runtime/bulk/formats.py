"""Codes as JSON lines and CSV, a chunk at a time: a json.dumps for each would cost as much as decoding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from infogan_tool.runtime.files import write_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from infogan_tool.runtime.bundle import Bundle, Posterior

__all__ = ["CsvFormat", "Format", "JsonFormat", "error_line", "records", "rounded"]

_DIGITS: Final = 6
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_QUOTED: Final = frozenset(',"\r\n')


class Format(Protocol):
    """How records become bytes; the concatenation of :meth:`head` and all blocks is the file."""

    def head(self) -> bytes:
        """Return what comes first."""

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return the records of some pictures."""

    def write(self, target: Path, content: bytes) -> None:
        """Write the file of a head and its blocks."""

    @property
    def convert(self) -> Callable[[Path, Path], None] | None:
        """What makes the file from one that holds head and blocks; None where that is it already."""


def rounded(values: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401 - lists as deep as the array
    """Return an array as lists of numbers of six decimals."""
    return np.round(values.astype(np.float64), _DIGITS).tolist()


def records(bundle: Bundle, names: Sequence[str], posterior: Posterior) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of each picture, as docs/bulk.md describes it."""
    for line in JsonFormat(bundle).block(names, posterior).splitlines():
        yield json.loads(line)


def error_line(name: str, message: str) -> bytes:
    """Return the JSON line of an input that could not be read."""
    return (json.dumps({"path": name, "error": message}) + "\n").encode()


class JsonFormat:
    """One JSON object a line, in ASCII, as docs/bulk.md describes it."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        metadata = bundle.metadata
        self._labels = [
            [json.dumps(metadata.label(code, index)) for index in range(size)]
            for code, size in zip(metadata.latent.categorical_names, metadata.latent.categorical, strict=True)
        ]
        self._templates: dict[bool, str] = {}

    def head(self) -> bytes:
        """Return nothing: each line stands alone."""
        return b""

    def write(self, target: Path, content: bytes) -> None:
        """Write the lines."""
        write_aside(target, content)

    convert = None

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return a line for each picture."""
        columns: list[Any] = [map(json.JSONEncoder().encode, names)]
        for place, labels in enumerate(self._labels):
            indices = posterior.categories[:, place].tolist()
            columns += [indices, [labels[index] for index in indices]]
            columns += [rounded(posterior.confidence[:, place]), rounded(posterior.probabilities[place])]
        for place in range(posterior.style_mean.shape[1]):
            columns += [rounded(posterior.style_mean[:, place]), rounded(posterior.style_std[:, place])]
        known = posterior.familiar is not None
        if posterior.familiar is not None:
            columns.append(["true" if yes else "false" for yes in posterior.familiar.tolist()])
        if posterior.distance is not None:
            columns.append(rounded(posterior.distance))
        template = self._template(familiar=known, distance=posterior.distance is not None)
        return "".join([template % record for record in zip(*columns, strict=True)]).encode()

    def _template(self, *, familiar: bool, distance: bool) -> str:
        """Return the line with a place for each value; numbers are written as json.dumps writes them."""
        metadata, latent = self._bundle.metadata, self._bundle.latent

        def fixed(text: object) -> str:
            return json.dumps(text).replace("%", "%%")

        categories = ", ".join(
            f'{{"code": {fixed(code)}, "index": %d, "label": %s, "confidence": %r, "probabilities": %r}}'
            for code in latent.categorical_names
        )
        names = metadata.style_names
        styles = ", ".join(
            f'{{"code": {fixed(code)}, "name": {fixed(names.get(code))}, "mean": %r, "std": %r}}'
            for code in latent.continuous_names
        )
        marks = ('"familiar": %s, ' if familiar else "") + ('"distance": %r, ' if distance else "")
        return (
            f'{{"path": %s, "categories": [{categories}], "styles": [{styles}], {marks}'
            f'"bundle": {fixed(metadata.bundle_id)}, "provider": {fixed(self._bundle.provider)}}}\n'
        )


class CsvFormat:
    r"""Comma-separated values, UTF-8, with one row of heads and flat columns.

    A text that a spreadsheet would run as a formula gets an apostrophe in front; what is no Unicode in a name
    is written as ``\udcff``. JSON lines keep both as they are.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._metadata = bundle.metadata

    convert = None

    def write(self, target: Path, content: bytes) -> None:
        """Write the rows."""
        write_aside(target, content)

    def head(self) -> bytes:
        """Return the row of heads."""
        latent, names = self._metadata.latent, ["path"]
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
            names += [code, f"{code}_label", f"{code}_confidence", *(f"{code}_p{i}" for i in range(size))]
        for code in latent.continuous_names:
            names += [code, f"{code}_std"]
        if self._metadata.familiarity is not None:
            names += ["familiar", "distance"]
        return (",".join(names) + "\n").encode()

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return a row for each picture."""
        columns: list[Any] = [[_cell(name) for name in names]]
        for place, code in enumerate(self._metadata.latent.categorical_names):
            indices = posterior.categories[:, place].tolist()
            columns += [indices, [_cell(self._metadata.label(code, index) or "") for index in indices]]
            columns.append(rounded(posterior.confidence[:, place]))
            columns += rounded(posterior.probabilities[place].T)
        for place in range(posterior.style_mean.shape[1]):
            columns += [rounded(posterior.style_mean[:, place]), rounded(posterior.style_std[:, place])]
        if posterior.familiar is not None:
            columns.append(["true" if yes else "false" for yes in posterior.familiar.tolist()])
        if posterior.distance is not None:
            columns.append(rounded(posterior.distance))
        template = ",".join(["%s"] * len(columns)) + "\n"
        text = "".join([template % record for record in zip(*columns, strict=True)])
        return text.encode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    if text.startswith(_FORMULA):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text
