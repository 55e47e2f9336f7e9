"""A chunk, encoded: what every way of encoding gives and every output takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.bulk.decode.decoding import Decoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bulk.output.formats import Format
    from infogan_tool.runtime.bundle.bundle import Bundle, Posterior

__all__ = ["Encoded", "encode_chunk"]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A chunk, done."""

    chunk: Chunk
    names: Sequence[str]
    """Of the images that could be read, in order."""
    posterior: Posterior | None
    """Their codes; None where none could be read."""
    images: npt.NDArray[np.uint8]
    """What the network saw, ``(M, H, W, C)``."""
    failures: dict[int, str]
    """Why the others could not be read, by their place in the chunk."""
    records: bytes | None = None
    """The codes in the format that was asked for; None where none was."""

    def block(self, made: Format) -> bytes:
        """Return the records of these images: those that are made already, or made now."""
        if self.records is not None:
            return self.records
        return made.block(self.names, self.posterior) if self.posterior else b""


def encode_chunk(bundle: Bundle, chunk: Chunk, decoded: Decoded, made: Format | None = None) -> Encoded:
    """Run the encoder on a chunk that is decoded, and write its records where a format is given."""
    names, failures = chunk.names, decoded.failures
    if failures:
        names = [name for index, name in enumerate(names) if index not in failures]
    posterior = bundle.encode(decoded.images) if len(decoded.images) else None
    records = made.block(names, posterior) if made and posterior else None
    return Encoded(chunk, names, posterior, decoded.images, failures, records)
