"""Example images that a bundle may carry: one PNG file with the images side by side."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.bundle.metadata import EXAMPLES_FILE, ExamplesFile
from infogan_tool.runtime.errors import BundleError
from infogan_tool.runtime.images.formats import PNG_SIGNATURE, open_header
from infogan_tool.runtime.storage.atomic import read_limited, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.images.spec import ImageSpec

_MAX_PIXELS: Final = 1 << 24


def max_examples(image: ImageSpec) -> int:
    """Return how many examples a bundle of these images may have: 100, fewer where they are large."""
    return max(1, min(ExamplesFile.MAX_COUNT, _MAX_PIXELS // image.size**2))


def write_examples(folder: Path, images: npt.NDArray[np.uint8]) -> ExamplesFile:
    """Write uint8 images ``(N, H, W, C)`` into the folder of a bundle; return their entry in the metadata."""
    strip = np.concatenate(list(images), axis=1)
    content = io.BytesIO()
    Image.fromarray(strip[..., 0] if strip.shape[2] == 1 else strip).save(content, "PNG", optimize=True)
    data = content.getvalue()
    write_atomic(folder / EXAMPLES_FILE, data)
    return ExamplesFile(count=len(images), sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def read_examples(folder: Path, metadata: BundleMetadata) -> npt.NDArray[np.uint8]:
    """Return the examples of a bundle, uint8 ``(N, H, W, C)``; N is 0 where it has none.

    Raises:
        BundleError: The file is missing, not the one of the metadata, or not a PNG of that many images.
    """
    channels, size, _ = metadata.image.shape
    expected = metadata.examples
    if expected is None:
        return np.empty((0, size, size, channels), np.uint8)
    path = folder / EXAMPLES_FILE
    if expected.count > max_examples(metadata.image):
        raise BundleError(f"{path}: at most {max_examples(metadata.image)} examples are allowed")
    try:
        content = read_limited(path, expected.bytes)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} is missing or larger than metadata.json says; export again") from error
    if hashlib.sha256(content).hexdigest() != expected.sha256 or not content.startswith(PNG_SIGNATURE):
        raise BundleError(f"{path} is not the file that metadata.json describes; export again")
    mode, shape = "L" if channels == 1 else "RGB", (expected.count * size, size)
    try:
        strip = open_header(io.BytesIO(content))
        is_valid = (strip.mode, strip.size) == (mode, shape)
        pixels = np.asarray(strip) if is_valid else None
    except Exception as error:  # decoders raise many types on damaged files
        raise BundleError(f"{path} is damaged; export again") from error
    if pixels is None:
        raise BundleError(f"{path} is not a row of {expected.count} images of {size} x {size} in mode {mode}")
    return np.stack(np.split(pixels.reshape(size, -1, channels), expected.count, axis=1))
