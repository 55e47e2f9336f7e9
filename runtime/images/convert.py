"""Convert a decoded image of any mode and size to a bundle's image spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.arrays import Scale, float_scale
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

_STRIP_PIXELS: Final = 1 << 20


def preprocess(image: Image.Image, spec: ImageSpec, *, raw: bool = False) -> npt.NDArray[np.uint8]:
    """Convert an upright image to ``spec``, with the spec's preprocessing if it declares one.

    Args:
        image: Of any size and mode.
        spec: The bundle's image spec.
        raw: Leave the preprocessing out.

    Returns:
        uint8 ``(H, W, C)``, 0 is black.

    Raises:
        ImageError: The image has no pixels, or its values have no known scale.
    """
    preprocessing = spec.preprocessing
    if raw or preprocessing is None:
        return fit(image, spec)
    image = _opaque(_eight_bits(image))
    if image.size == (spec.size, spec.size):
        values = np.asarray(image if image.mode == "L" else image.convert("L"))
        if matches_preprocessing(values[None], preprocessing)[0]:
            return values[..., None]
    from infogan_tool.runtime.preprocessing.centred_foreground import apply_preprocessing  # noqa: PLC0415 - start-up time

    centred = apply_preprocessing(image, spec.size, preprocessing)
    return fit(image, spec) if centred is None else centred[..., None]


def fit(image: Image.Image, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Resize and pad an image of any size and mode to the size and channels of ``spec``.

    Images of 16 bits and of floats are scaled to 8 bits. The image is resized with antialiasing, keeping its
    aspect ratio, and padded to a square with the median colour of its border. Transparent pixels become
    white, or black where the opaque ones are light. An image of the right size and channels keeps its values.

    Returns:
        uint8 ``(H, W, C)``, 0 is black.

    Raises:
        ImageError: The image has no pixels, or its values have no known scale.
    """
    image = _eight_bits(image)
    scale = spec.size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(_opaque(image).convert("L" if spec.channels == 1 else "RGB"))
    pixels = pixels.reshape(height, width, spec.channels)
    if width == height:
        return np.ascontiguousarray(pixels)
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    square = np.empty((spec.size, spec.size, spec.channels), np.uint8)
    square[:] = np.rint(np.median(np.concatenate(border), axis=0))
    top, left = (spec.size - height) // 2, (spec.size - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def flatten(image: Image.Image, channels: int) -> npt.NDArray[np.uint8]:
    """Convert an upright image of any mode to uint8 ``(H, W, C)`` of its own size, C 1 or 3.

    Raises:
        ImageError: The image has no pixels, or its values have no known scale.
    """
    pixels = np.asarray(_opaque(_eight_bits(image)).convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image.height, image.width, channels)


# --- modes -------------------------------------------------------------------------------------------------


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert to mode L, RGB or, if a pixel is transparent, RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if image.has_transparency_data:
        image = _in_mode(image, "RGBA")
        return image.convert("RGB") if image.getchannel("A").getextrema()[0] == 255 else image  # noqa: PLR2004
    return _in_mode(image, "L" if image.mode in ("1", "L") else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert() would copy the image


def _scaled(image: Image.Image) -> Image.Image:
    """Scale an image of 16 or 32 bits, or of floats, to mode L.

    Full intensity is 65,535 for 16 bits, and for 32 bits too if no value is greater, because readers return
    16-bit images so. For floats see :func:`~infogan_tool.runtime.images.arrays.float_scale`; none may be
    negative.
    """
    # min and max pass NaN on, which is refused below.
    ends = np.array([[rows.min(), rows.max()] for _, strip in _strips(image) for rows in [np.asarray(strip)]])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if image.mode == "F":
        scale = float_scale(low, high)
    else:
        scale = Scale(0, 255 / (65535 if high <= 65535 else 2**31 - 1))  # noqa: PLR2004 - 16 bits
    if scale is None or not low >= scale.low == 0:
        raise ImageError(f"the image has values from {low:g} to {high:g}, an unknown scale")
    eight_bits = np.empty((image.height, image.width), np.uint8)
    for top, strip in _strips(image):
        scaled = np.multiply(np.asarray(strip), scale.factor, dtype=np.float32)
        eight_bits[top : top + strip.height] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return Image.fromarray(eight_bits)


def _opaque(image: Image.Image) -> Image.Image:
    """Blend transparent pixels with white, or with black where the opaque pixels are light."""
    if image.mode != "RGBA":
        return image
    bright = opaque = 0
    for _, strip in _strips(image):
        opacity = np.asarray(strip.getchannel("A"), np.uint32)
        bright += int((np.asarray(strip.convert("L"), np.uint32) * opacity).sum(dtype=np.uint64))
        opaque += int(opacity.sum(dtype=np.uint64))
    background = (0, 0, 0, 255) if 2 * bright > 255 * opaque else (255, 255, 255, 255)
    blended = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        blended.paste(
            Image.alpha_composite(Image.new("RGBA", strip.size, background), strip).convert("RGB"), (0, top)
        )
    return blended


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image in strips of a million pixels and their tops, so that no copy of the whole is made."""
    height = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))
