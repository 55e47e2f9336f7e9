"""The requests of the page: codes to images, an image to its posterior, and names for the codes."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime import Latents, load_image, to_uint8
from infogan_tool.runtime.errors import ImageError, LatentError, UsageError
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.runtime.storage.json_fields import parse_json

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle

_MAX_IMAGES: Final = 256
_MAX_VALUES: Final = 1 << 24
"""Pixel values of one request's images, at most, so that no request takes much memory."""


def max_images(bundle: Bundle) -> int:
    """Return how many images one request may ask for: 256, fewer where they or their codes are large."""
    size = max(bundle.image.size**2 * bundle.image.channels, 8 * latent_width(bundle))
    return max(1, min(_MAX_IMAGES, _MAX_VALUES // size))


def latent_width(bundle: Bundle) -> int:
    """Return how many float32 values describe one image: its noise, its categories, its styles."""
    latent = bundle.latent
    return latent.noise + len(latent.categorical) + latent.continuous


def generate(bundle: Bundle, body: bytes) -> bytes:
    """Generate one image for each row of codes.

    Args:
        bundle: Its generator is used.
        body: Little-endian float32, a row of ``noise, categories, styles`` for each image.

    Returns:
        uint8 ``(N, H, W, C)``.

    Raises:
        LatentError: The body is not whole rows, has too many of them, or a category is out of range.
    """
    width = latent_width(bundle)
    count, rest = divmod(len(body), 4 * width)
    if rest or not 1 <= count <= max_images(bundle):
        raise LatentError(f"a request holds 1 to {max_images(bundle)} rows of {width} float32 values")
    rows = np.frombuffer(body, "<f4").reshape(count, width)
    noise, categories, styles = np.split(
        rows, [bundle.latent.noise, width - bundle.latent.continuous], axis=1
    )
    if not (np.isfinite(categories).all() and (categories == np.rint(categories)).all()):
        raise LatentError("categories are whole numbers")
    images = bundle.generate(Latents(noise, np.clip(categories, -1, 2**31).astype(np.int64), styles))
    return to_uint8(images, bundle.image).tobytes()


def encode(bundle: Bundle, content: bytes, *, raw: bool) -> dict[str, Any]:
    """Infer the codes of an image file.

    Args:
        bundle: Its encoder is used.
        content: The file, in one of the runtime's formats.
        raw: The image is preprocessed already.

    Returns:
        JSON-ready: ``probabilities`` for each categorical code; ``mean`` and ``std`` for each continuous one;
        ``ood``, null where the bundle has no OOD score; ``preprocessed``, the encoder's input, as base64 of
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
        "preprocessed": b64encode(to_uint8(image, bundle.image).tobytes()).decode("ascii"),
    }


def save_names(bundle: Bundle, body: bytes) -> None:
    """Write names of categories and styles into the metadata of the bundle's folder.

    Args:
        bundle: Its metadata in memory are updated too.
        body: JSON, see :func:`infogan_tool.runtime.bundle.names.parse_names`.

    Raises:
        UsageError: The body is not such JSON, a name is not valid, or the bundle is part of the installation.
        BundleError: The folder no longer holds the bundle.
    """
    from infogan_tool.export import save_names as writer
    from infogan_tool.runtime.bundle.names import parse_names

    try:
        data = parse_json(body)
    except ValueError as error:
        raise UsageError(f"the names are not JSON: {error}") from error
    names = parse_names(data, bundle.latent)
    try:
        bundle.metadata = writer.save_names(bundle.path, names, bundle_id=bundle.metadata.bundle_id)
    except OSError as error:
        place = printable(error.filename or bundle.path)
        raise UsageError(f"the names cannot be written: {place}: {error.strerror}") from error
