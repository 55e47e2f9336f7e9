"""A chunk, encoded: what every way of encoding gives and every output takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.bulk.chunks import Chunk
    from infogan_tool.runtime.bulk.decoding import Decoded
    from infogan_tool.runtime.bundle import Bundle, Posterior

__all__ = ["Encoded", "encode_chunk"]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A chunk, done."""

    chunk: Chunk
    names: Sequence[str]
    """Of the pictures that could be read, in order."""
    posterior: Posterior | None
    """Their codes; None where none could be read."""
    images: npt.NDArray[np.uint8]
    """What the network saw, ``(M, H, W, C)``."""
    failures: dict[int, str]
    """Why the others could not be read, by their place in the chunk."""


def encode_chunk(bundle: Bundle, chunk: Chunk, decoded: Decoded) -> Encoded:
    """Run the encoder on a chunk that is decoded."""
    names, failures = chunk.names, decoded.failures
    if failures:
        names = [name for index, name in enumerate(names) if index not in failures]
    posterior = bundle.encode(decoded.images) if len(decoded.images) else None
    return Encoded(chunk, names, posterior, decoded.images, failures)
