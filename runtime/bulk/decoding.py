"""A chunk's sources to arrays, one after the other; what cannot be read is a line, never a stop."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.bulk.chunks import Failed
from infogan_tool.runtime.errors import PictureError
from infogan_tool.runtime.files import printable, read_head
from infogan_tool.runtime.images import read_picture
from infogan_tool.runtime.plain_png import PLAIN_BYTES, read_plain_png

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from infogan_tool.runtime.contract import ImageSpec

__all__ = ["Decoded", "decode"]

_MANY: Final = 8
"""From so many pictures on it pays to ask of all at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The pictures of a chunk."""

    images: npt.NDArray[np.uint8]
    """``(M, H, W, C)``: those that could be read, in order."""
    failures: dict[int, str]
    """Why each of the others could not, by its place in the chunk."""


class _Named(io.BytesIO):
    """A file in memory that messages call by its record's name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def decode(
    names: Sequence[str], sources: Iterable[str | bytes | Failed], spec: ImageSpec, *, raw: bool
) -> Decoded:
    """Read and prepare the pictures of a chunk.

    Args:
        names: How messages call them.
        sources: A path, a file's content, or a failure for each.
        spec: The bundle's image spec.
        raw: Pad and resize only.
    """
    sources = list(sources)
    plain = _plain(sources, spec, raw=raw)
    images, failures = [], {}
    for index, (name, source) in enumerate(zip(names, sources, strict=True)):
        if index in plain:
            images.append(plain[index])
            continue
        if isinstance(source, Failed):
            failures[index] = source.message
            continue
        try:
            opened = _Named(source, name) if isinstance(source, bytes) else source
            images.append(read_picture(opened, spec, raw=raw))
        except PictureError as error:
            failures[index] = str(error)
        except MemoryError:
            failures[index] = f"{printable(name)}: there is not enough memory for it"
    channels, height, width = spec.shape
    stacked = np.stack(images) if images else np.empty((0, height, width, channels), np.uint8)
    return Decoded(stacked, failures)


def _plain(
    sources: Sequence[str | bytes | Failed], spec: ImageSpec, *, raw: bool
) -> dict[int, npt.NDArray[np.uint8]]:
    """Return ``(H, W, 1)`` of the sources that are small grey PNG files in no need of preparation.

    They are read as :func:`read_picture` reads them, but what they have in common is asked of all at once.
    """
    if spec.channels != 1 or len(sources) < _MANY:
        return {}
    found = {}
    for index, source in enumerate(sources):
        try:
            content = read_head(source, PLAIN_BYTES + 1) if isinstance(source, str) else source
        except (OSError, ValueError):
            continue  # which is said when it is read in earnest
        if isinstance(content, bytes) and len(content) <= PLAIN_BYTES:
            values = read_plain_png(content, spec.size)
            if values is not None:
                found[index] = values[..., None]
    if not found or raw or spec.preparation is None:
        return found
    from infogan_tool.runtime.bulk.layout import rows_laid_out  # noqa: PLC0415 - not every bundle has a recipe

    as_they_are = rows_laid_out(np.stack(list(found.values()))[..., 0], spec.preparation)
    return {index: values for (index, values), is_so in zip(found.items(), as_they_are, strict=True) if is_so}
