"""Numbers and the text around them, for many records at once.

A record is a row of fields of fixed width, filled up with zero bytes, which are taken out in the end:
Python's own formatting of all the numbers would cost half as much as reading the image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["decimals", "joined", "lines", "texts"]

_MILLION: Final = 1_000_000
_WORDS: Final = 3
_WIDTH: Final = 4 * _WORDS
_TINY: Final = 100
"""Fewer millionths than these Python writes with an exponent."""


def decimals(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return ``repr(round(value, 6))`` of each finite value ``(...)`` in ASCII: ``(..., W)``."""
    scaled = np.rint(values.astype(np.float64) * _MILLION).ravel()
    negative = np.signbit(scaled)
    size = np.abs(scaled)
    large = size >= 1000 * _MILLION
    if large.any():
        size[large] = 0
    whole, rest = np.divmod(size.astype(np.int32), np.int32(_MILLION))
    upper, lower = np.divmod(rest, np.int32(1000))
    wholes, uppers, lowers, tinies = _tables()
    words = np.empty((len(scaled), _WORDS), np.uint32)
    words[:, 0] = wholes[whole + negative * np.int32(1000)]
    words[:, 1] = uppers[upper + (lower == 0) * np.int32(1000)]
    words[:, 2] = lowers[lower]
    tiny = np.flatnonzero((whole == 0) & (rest < _TINY) & (rest > 0))
    words[tiny] = tinies[rest[tiny] + negative[tiny] * np.int32(_TINY)]
    found = words.view(np.uint8)
    if large.any():
        written = texts([repr(value) for value in (scaled[large] / _MILLION).tolist()])
        wide = np.zeros((len(found), max(_WIDTH, written.shape[1])), np.uint8)
        wide[:, :_WIDTH] = found
        wide[large] = 0
        wide[large, : written.shape[1]] = written
        found = wide
    return found.reshape(*values.shape, found.shape[1])


def texts(given: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return texts without a zero byte as ``(N, W)``, W that of the longest."""
    rows = np.array([text.encode() for text in given], np.bytes_)
    return rows.view(np.uint8).reshape(len(rows), -1)


def joined(fields: npt.NDArray[np.uint8], between: str) -> npt.NDArray[np.uint8]:
    """Return the F fields ``(N, F, W)`` of each record as one ``(N, W')``, with text between them."""
    count, number, width = fields.shape
    glue = np.frombuffer(between.encode(), np.uint8)
    block = np.zeros((count, number, width + len(glue)), np.uint8)
    block[:, :, :width] = fields
    block[:, :-1, width:] = glue
    return block.reshape(count, -1)


def lines(count: int, parts: Sequence[str | npt.NDArray[np.uint8]]) -> list[bytes]:
    """Put ``count`` records together.

    Args:
        count: How many, N.
        parts: Text that is the same in all records, and fields ``(N, W)``. No line feed or carriage return.

    Returns:
        The N lines, each with a line feed.
    """
    blocks = [np.frombuffer(part.encode(), np.uint8) if isinstance(part, str) else part for part in parts]
    rows = np.empty((count, sum(block.shape[-1] for block in blocks) + 1), np.uint8)
    start = 0
    for block in blocks:
        rows[:, start : start + block.shape[-1]] = block
        start += block.shape[-1]
    rows[:, -1] = ord("\n")
    return rows.tobytes().translate(None, b"\0").splitlines(keepends=True)


@lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[Any], ...]:
    """Return the words of four characters that numbers are made of.

    They are: what is before the point, of 0 to 999 and then of their negatives; the point and the first three
    decimals, and then the same without zeros at the end, but for the first; the last three, likewise; and all
    of what is written with an exponent.
    """
    numbers = np.arange(1000)
    digits = (numbers[:, None] // (100, 10, 1) % 10 + ord("0")).astype(np.uint8)
    leading = numbers[:, None] < (100, 10, 0)
    trailing = numbers[:, None] % (1000, 100, 10) == 0
    wholes, uppers = np.zeros((2, 1000, 4), np.uint8), np.zeros((2, 1000, 4), np.uint8)
    wholes[:, :, 1:] = np.where(leading, 0, digits)
    wholes[1, :, 0] = ord("-")
    uppers[:, :, 0] = ord(".")
    uppers[0, :, 1:] = digits
    uppers[1, :, 1:] = np.where(trailing & ([[False, True, True]]), 0, digits)
    lowers = np.zeros((1000, 4), np.uint8)
    lowers[:, :3] = np.where(trailing, 0, digits)
    tiny = [repr(sign * number / _MILLION) for sign in (1, -1) for number in range(_TINY)]
    tinies = np.zeros((len(tiny), _WIDTH), np.uint8)
    written = texts(tiny)
    tinies[:, : written.shape[1]] = written
    return (
        wholes.reshape(-1).view(np.uint32),
        uppers.reshape(-1).view(np.uint32),
        lowers.reshape(-1).view(np.uint32),
        tinies.view(np.uint32),
    )
