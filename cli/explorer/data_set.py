"""The images of a folder as the page shows them: their codes, their reconstruction, their pixels."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime import Latents, to_uint8
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from infogan_tool.runtime import Bundle, Posterior
    from infogan_tool.runtime.bulk.encode.encoded import Encoded

MAX_IMAGES: Final = 3000
"""Images that the page shows, at most; of more, so many are chosen at random."""
_MAX_BYTES: Final = 1 << 24
_MAX_NAME: Final = 200
_BATCH: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSet:
    """What the page reads."""

    table: bytes
    """JSON: ``total`` images of the folder, and of those that are shown ``names``, ``categories`` (by code),
    ``confidence``, ``styles`` (by code), ``distance`` and ``ood`` (null without an OOD score) and ``error``,
    the mean difference from the reconstruction as a share of the range from black to white."""
    pixels: bytes
    """uint8 ``(N, H, W, C)``: the encoder's inputs."""


def read_data_set(bundle: Bundle, chunks: Iterable[Encoded]) -> DataSet:
    """Keep some of the images of encoded chunks, and reconstruct them.

    Args:
        bundle: Which encoded them.
        chunks: All images of the folder, at least one.
    """
    image = bundle.image
    limit = max(1, min(MAX_IMAGES, _MAX_BYTES // (image.size**2 * image.channels)))
    rng = np.random.default_rng(0)
    kept: list[tuple[int, str, npt.NDArray[np.uint8], Posterior]] = []
    total = 0
    for chunk in chunks:
        for index, name in enumerate(chunk.names):
            # Algorithm R (Vitter 1985): each image is kept with the same probability.
            place = total if total < limit else int(rng.integers(0, total + 1))
            total += 1
            if place < limit:
                one = chunk.posterior[index : index + 1]
                kept[place : place + 1] = [(total, name, chunk.images[index].copy(), one)]
    kept.sort(key=itemgetter(0))
    _, names, images, posteriors = zip(*kept, strict=True)
    pixels = np.stack(images)
    table = {
        "total": total,
        "names": [printable(os.path.basename(name), _MAX_NAME) for name in names],  # noqa: PTH119 - a name only
        **_codes(posteriors),
        "error": _rounded(_errors(bundle, posteriors, pixels)),
    }
    return DataSet(table=json.dumps(table, allow_nan=False).encode(), pixels=pixels.tobytes())


def _codes(posteriors: Sequence[Posterior]) -> dict[str, Any]:
    """Return the codes of the images as lists, of which those by code have a list for each code."""
    distances = [one.distance for one in posteriors if one.distance is not None]
    flags = [one.ood for one in posteriors if one.ood is not None]
    styles = np.concatenate([one.style_mean for one in posteriors])
    return {
        "categories": np.concatenate([one.categories for one in posteriors]).T.tolist(),
        "confidence": _rounded([float(one.confidence[0].min(initial=1)) for one in posteriors]),
        "styles": [_rounded(values) for values in styles.T.tolist()],
        "distance": _rounded(np.concatenate(distances).tolist()) if distances else None,
        "ood": np.concatenate(flags).tolist() if flags else None,
    }


def _errors(bundle: Bundle, posteriors: Sequence[Posterior], pixels: npt.NDArray[np.uint8]) -> list[float]:
    """Return the mean difference of each image from what is generated from its codes and the first noise."""
    noise = bundle.sample(1).noise
    errors: list[float] = []
    for start in range(0, len(posteriors), _BATCH):
        part = posteriors[start : start + _BATCH]
        latents = Latents(
            np.repeat(noise, len(part), axis=0),
            np.concatenate([one.categories for one in part]),
            np.concatenate([one.style_mean for one in part]),
        )
        generated = to_uint8(bundle.generate(latents), bundle.image).astype(np.float32)
        difference = np.abs(generated - pixels[start : start + _BATCH]) / 255
        errors += difference.mean(axis=(1, 2, 3), dtype=np.float64).tolist()
    return errors


def _rounded(values: list[float]) -> list[float]:
    """Return four significant digits; a value that is not finite becomes 0, which JSON can hold."""
    return [float(f"{value:.4g}") if math.isfinite(value) else 0.0 for value in values]
