"""Codes as JSON lines and CSV, a chunk at a time: a json.dumps for each would cost as much as decoding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from infogan_tool.runtime.bulk.output.decimals import decimals, joined, lines, texts
from infogan_tool.runtime.storage.atomic import printable, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior

__all__ = ["CsvFormat", "Format", "JsonFormat", "error_line", "records"]

_TRUTH: Final = texts(["false", "true"])
_quoted = json.JSONEncoder().encode
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the same signs as East Asian spreadsheets write them."""
_QUOTED: Final = frozenset(',";')
"""With the sign that parts cells where a comma is in numbers."""


class Format(Protocol):
    """How records become bytes; the concatenation of :meth:`head` and all blocks is the file."""

    def head(self) -> bytes:
        """Return what comes first."""

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return the records of some images."""

    def write(self, target: Path, content: bytes) -> None:
        """Write the file of a head and its blocks."""

    @property
    def convert(self) -> Callable[[Path, Path], None] | None:
        """What makes the file from one that holds head and blocks; None where that is it already."""


def records(bundle: Bundle, names: Sequence[str], posterior: Posterior) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of each image, as docs/guide/bulk.md describes it."""
    for line in JsonFormat(bundle).block(names, posterior).splitlines():
        yield json.loads(line)


def error_line(name: str, message: str) -> bytes:
    """Return the JSON line of an input that could not be read."""
    return (json.dumps({"path": name, "error": message}) + "\n").encode()


class JsonFormat:
    """One JSON object a line, in ASCII, as docs/guide/bulk.md describes it."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        metadata = bundle.metadata
        self._labels = [
            [f'{index}, "label": {json.dumps(metadata.label(code, index))}' for index in range(size)]
            for code, size in zip(metadata.latent.categorical_names, metadata.latent.categorical, strict=True)
        ]

    def head(self) -> bytes:
        """Return nothing: each line stands alone."""
        return b""

    def write(self, target: Path, content: bytes) -> None:
        """Write the lines."""
        write_atomic(target, content)

    convert = None

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return a line for each image."""
        metadata, latent = self._bundle.metadata, self._bundle.latent
        parts: list[Any] = [', "categories": [']
        for place, code in enumerate(latent.categorical_names):
            start = ", {" if place else "{"
            parts += [f'{start}"code": {json.dumps(code)}, "index": ']
            labels = [self._labels[place][index] for index in posterior.categories[:, place].tolist()]
            parts += [texts(labels), ', "confidence": ']
            parts += [decimals(posterior.confidence[:, place]), ', "probabilities": [']
            parts += [joined(decimals(posterior.probabilities[place]), ", "), "]}"]
        parts.append('], "styles": [')
        for place, code in enumerate(latent.continuous_names):
            start, name = ", {" if place else "{", metadata.style_names.get(code)
            parts += [f'{start}"code": {json.dumps(code)}, "name": {json.dumps(name)}, "mean": ']
            parts += [decimals(posterior.style_mean[:, place]), ', "std": ']
            parts += [decimals(posterior.style_std[:, place]), "}"]
        parts.append("]")
        if posterior.ood is not None:
            parts += [', "ood": ', _TRUTH[posterior.ood.astype(np.intp)]]
        if posterior.distance is not None:
            parts += [', "distance": ', decimals(posterior.distance)]
        bundle, provider = json.dumps(metadata.bundle_id), json.dumps(self._bundle.provider)
        parts.append(f', "bundle": {bundle}, "provider": {provider}}}')
        rests = lines(len(names), parts)
        return b"".join(
            [
                b'{"path": %b%b' % (_quoted(name).encode(), rest)
                for name, rest in zip(names, rests, strict=True)
            ]
        )


class CsvFormat:
    r"""Comma-separated values, UTF-8, with one row of heads and flat columns.

    A text that a spreadsheet would run as a formula gets an apostrophe in front; what is not printable in a
    name, or no Unicode, is written as ``\x1b`` or ``\udcff``. JSON lines keep all as it is.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._metadata = bundle.metadata

    convert = None

    def write(self, target: Path, content: bytes) -> None:
        """Write the rows."""
        write_atomic(target, content)

    def head(self) -> bytes:
        """Return the row of heads."""
        latent, names = self._metadata.latent, ["path"]
        for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
            names += [code, f"{code}_label", f"{code}_confidence", *(f"{code}_p{i}" for i in range(size))]
        for code in latent.continuous_names:
            names += [code, f"{code}_std"]
        if self._metadata.ood is not None:
            names += ["ood", "distance"]
        return (",".join(names) + "\n").encode()

    def block(self, names: Sequence[str], posterior: Posterior) -> bytes:
        """Return a row for each image."""
        parts: list[Any] = []
        for place, code in enumerate(self._metadata.latent.categorical_names):
            labels = [
                f",{index},{_cell(self._metadata.label(code, index) or '')},"
                for index in posterior.categories[:, place].tolist()
            ]
            parts += [texts(labels), decimals(posterior.confidence[:, place])]
            parts += [",", joined(decimals(posterior.probabilities[place]), ",")]
        for place in range(posterior.style_mean.shape[1]):
            parts += [",", decimals(posterior.style_mean[:, place])]
            parts += [",", decimals(posterior.style_std[:, place])]
        if posterior.ood is not None:
            parts += [",", _TRUTH[posterior.ood.astype(np.intp)]]
        if posterior.distance is not None:
            parts += [",", decimals(posterior.distance)]
        rests = lines(len(names), parts)
        return b"".join([_cell(name).encode() + rest for name, rest in zip(names, rests, strict=True)])


def _cell(text: str) -> str:
    if not text.isprintable():
        text = printable(text)
    if text.startswith(_FORMULA):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text
