"""The page's two questions, answered by the runtime: what is in this image, what do these codes draw."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime import Latents, load_image, to_uint8
from infogan_tool.runtime.errors import ImageError, LatentError

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle

__all__ = ["draw", "most_images", "read", "row_width"]

_MOST_IMAGES: Final = 256
_MOST_VALUES: Final = 1 << 24
"""Values that the images of one request may have, so that memory does not depend on what is asked."""


def most_images(bundle: Bundle) -> int:
    """Return how many images one request may ask for: 256, fewer where they or their codes are large."""
    size = max(bundle.image.size**2 * bundle.image.channels, 8 * row_width(bundle))
    return max(1, min(_MOST_IMAGES, _MOST_VALUES // size))


def row_width(bundle: Bundle) -> int:
    """Return how many float32 values describe one image: its noise, its categories, its styles."""
    latent = bundle.latent
    return latent.noise + len(latent.categorical) + latent.continuous


def draw(bundle: Bundle, body: bytes) -> bytes:
    """Draw the images of some codes.

    Args:
        bundle: Whose generator draws.
        body: Little-endian float32, a row of ``noise, categories, styles`` for each image.

    Returns:
        uint8 ``(N, H, W, C)``.

    Raises:
        LatentError: The body is not whole rows, is too many of them, or holds a category that there is not.
    """
    width = row_width(bundle)
    count, rest = divmod(len(body), 4 * width)
    most = most_images(bundle)
    if rest or not 1 <= count <= most:
        raise LatentError(f"a request holds 1 to {most} rows of {width} float32 values")
    rows = np.frombuffer(body, "<f4").reshape(count, width)
    noise, categories, styles = np.split(
        rows, [bundle.latent.noise, width - bundle.latent.continuous], axis=1
    )
    if not (np.isfinite(categories).all() and (categories == np.rint(categories)).all()):
        raise LatentError("categories are whole numbers")
    images = bundle.generate(Latents(noise, np.clip(categories, -1, 2**31).astype(np.int64), styles))
    return to_uint8(images, bundle.image).tobytes()


def read(bundle: Bundle, content: bytes, *, raw: bool) -> dict[str, Any]:
    """Recover the codes of an image file.

    Args:
        bundle: Whose encoder reads.
        content: The file, in one of the runtime's formats.
        raw: The image is as the encoder wants it already; do not look for the figure in it.

    Returns:
        JSON-ready: ``probabilities`` for each categorical code; ``mean`` and ``std`` for each continuous one;
        ``ood``, null where the bundle has no OOD output; ``seen``, what the encoder was given, as base64 of
        uint8 ``(H, W, C)``.

    Raises:
        ImageError: The content is not an image that can be read.
    """
    try:
        image = load_image(content, bundle.image, raw=raw)[None]
    except ImageError as error:
        raise ImageError(str(error).partition(": ")[2] or str(error)) from error
    posterior = bundle.encode(image)
    return {
        "probabilities": [table[0].tolist() for table in posterior.probabilities],
        "mean": posterior.style_mean[0].tolist(),
        "std": posterior.style_std[0].tolist(),
        "ood": None if posterior.ood is None else bool(posterior.ood[0]),
        "seen": b64encode(to_uint8(image, bundle.image).tobytes()).decode("ascii"),
    }
