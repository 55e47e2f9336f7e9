"""An encoded chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime.bulk.decode.decoding import Decoded
    from infogan_tool.runtime.bulk.inputs.chunks import Chunk
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.bundle.reading import Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Codes of the M images of a chunk that could be read; M may be 0."""

    chunk: Chunk
    names: Sequence[str]
    """``(M,)``: their names, in order."""
    posterior: Posterior
    """Their codes."""
    images: npt.NDArray[np.uint8]
    """``(M, H, W, C)``: the network's input."""
    failures: dict[int, str]
    """Error message of each of the other images, by its index in the chunk."""


def encode_chunk(bundle: Bundle, chunk: Chunk, decoded: Decoded) -> Encoded:
    """Run the encoder on a decoded chunk."""
    names = [name for index, name in enumerate(chunk.names) if index not in decoded.failures]
    return Encoded(chunk, names, bundle.encode(decoded.images), decoded.images, decoded.failures)
