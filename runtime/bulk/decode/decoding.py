"""A chunk's sources to an array of preprocessed images; sources that cannot be read become messages."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from PIL import Image

from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.convert import preprocess
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.plain_png import PLAIN_BYTES, read_plain_pngs
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

    Source = str | bytes | Failed | npt.NDArray[np.uint8]
    """A path, a file's content, a failure, or the pixels ``(H, W)`` of an image to preprocess."""

_MANY: Final = 8
"""From this many images, testing all at once is faster."""
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    # A link is left to the general reader, which checks its target before opening it.
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_read = getattr(os, "pread", lambda descriptor, most, _: os.read(descriptor, most))


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The images of a chunk."""

    images: npt.NDArray[np.uint8]
    """``(M, H, W, C)``: the images that could be read, in order."""
    failures: dict[int, str]
    """Error message of each of the others, by its index in the chunk."""


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """The small grey PNG files of a chunk that need no preprocessing, and the other sources."""

    images: npt.NDArray[np.uint8]
    """``(M, H, W, C)``: the images of those files."""
    indices: npt.NDArray[np.intp]
    """``(M,)``: their indices in the chunk, ascending."""
    left: dict[int, Source]
    """The other sources by their index in the chunk; decoded pixels where only preprocessing is left."""

    def with_others(self, others: Decoded) -> Decoded:
        """Merge with the decoded other sources, given in their order."""
        if not self.left:
            return Decoded(self.images, {})
        indices = list(self.left)
        failures = {indices[i]: message for i, message in others.failures.items()}
        if not len(self.images):
            return Decoded(others.images, failures)
        read = [index for i, index in enumerate(indices) if i not in others.failures]
        order = np.argsort(np.concatenate([self.indices, np.array(read, np.intp)]))
        return Decoded(np.concatenate([self.images, others.images])[order], failures)


class Reader(Protocol):
    """A function that reads one image: :func:`read_image`, or the same with a time limit."""

    def __call__(self, source: str | BinaryIO, spec: ImageSpec, /, *, raw: bool) -> npt.NDArray[np.uint8]:
        """Return uint8 ``(H, W, C)``, or raise ImageError."""


class _Named(io.BytesIO):
    """A file in memory with a name for messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def decode(
    names: Sequence[str],
    sources: Iterable[Source],
    spec: ImageSpec,
    *,
    raw: bool,
    read: Reader = read_image,
) -> Decoded:
    """Read and preprocess the images of a chunk.

    Args:
        names: Names of the images, for messages.
        sources: One per name.
        spec: The bundle's image spec.
        raw: Pad and resize, without other preprocessing.
        read: Function that reads one image.
    """
    plain = find_plain(list(sources), spec, raw=raw)
    left = [names[index] for index in plain.left]
    return plain.with_others(decode_each(left, plain.left.values(), spec, raw=raw, read=read))


def decode_each(
    names: Sequence[str],
    sources: Iterable[Source],
    spec: ImageSpec,
    *,
    raw: bool,
    read: Reader = read_image,
) -> Decoded:
    """Read and preprocess images one by one; arguments as in :func:`decode`."""
    images, failures = [], {}
    for index, (name, source) in enumerate(zip(names, sources, strict=True)):
        if isinstance(source, Failed):
            failures[index] = source.message
            continue
        try:
            if isinstance(source, np.ndarray):
                images.append(preprocess(Image.fromarray(source), spec, raw=raw))
                continue
            opened = _Named(source, name) if isinstance(source, bytes) else source
            images.append(read(opened, spec, raw=raw))
        except ImageError as error:
            failures[index] = str(error)
        except MemoryError:
            failures[index] = f"{printable(name)}: not enough memory to read it"
    return Decoded(np.stack(images) if images else no_images(spec), failures)


def no_images(spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Return an empty array of images."""
    channels, height, width = spec.shape
    return np.empty((0, height, width, channels), np.uint8)


def find_plain(sources: Sequence[Source], spec: ImageSpec, *, raw: bool) -> Plain:
    """Read the sources that are small grey PNG files, with the same result as :func:`read_image`.

    All are decoded at once. A damaged file cannot crash the process: Python's zlib inflates the files, and
    Pillow gets valid rows only.
    """
    if spec.channels != 1 or len(sources) < _MANY:
        return Plain(no_images(spec), np.empty(0, np.intp), dict(enumerate(sources)))
    pixels, found = read_plain_pngs(_contents(sources), spec.size)
    indices = np.array(found, np.intp)
    left = dict(enumerate(sources))
    for index in found:
        del left[index]
    matches = matches_preprocessing(pixels, None if raw else spec.preprocessing)
    if not matches.all():
        others = np.logical_not(matches)
        left |= dict(zip(indices[others].tolist(), pixels[others], strict=True))
        left = dict(sorted(left.items()))
        pixels, indices = pixels[matches], indices[matches]
    return Plain(np.ascontiguousarray(pixels)[..., None], indices, left)


def _contents(sources: Iterable[Source]) -> Iterator[bytes | None]:
    """Yield the content of each source that may be a small PNG file; None for others, or if it is unreadable.

    For many small files each system call counts: pread fails on a pipe, socket or terminal, so no call is
    needed to check the type of the file.
    """
    for source in sources:
        content = None
        if isinstance(source, bytes):
            content = source
        elif isinstance(source, str) and source.endswith((".png", ".PNG")):
            try:
                descriptor = os.open(source, _FLAGS)
                try:
                    content = _read(descriptor, PLAIN_BYTES + 1, 0)
                finally:
                    os.close(descriptor)
            except (OSError, ValueError):
                content = None  # the general reader reports the error
        yield content
