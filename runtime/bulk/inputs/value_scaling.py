"""Arrays of any number type to 8-bit images, and detection of their axes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.images.arrays import Scale, float_scale
from infogan_tool.runtime.images.formats import MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

_COLOURS: Final = (3, 4)
_CHANNELS: Final = (1, 3, 4)
_MATRIX, _CUBE, _BATCH = 2, 3, 4


def axes_of(shape: tuple[int, ...]) -> str:
    """Detect the axes of an array of images from its shape.

    Returns:
        ``"HW"``; ``"HWC"``, one image, where the last of three axes is 3 or 4; ``"NHW"``; ``"NHWC"`` where
        the last of four axes is 1, 3 or 4; ``"NCHW"`` where the second is.

    Raises:
        ValueError: The shape is none of these, is ambiguous, or has no pixels.
    """
    axes = ""
    if len(shape) == _MATRIX:
        axes = "HW"
    elif len(shape) == _CUBE:
        axes = "HWC" if shape[-1] in _COLOURS else "NHW"
    elif len(shape) == _BATCH:
        last, second = shape[-1] in _CHANNELS, shape[1] in _CHANNELS
        if last and second:
            raise ValueError(
                f"shape {shape} is ambiguous, (N, H, W, C) or (N, C, H, W): transpose it to the other"
            )
        axes = "NHWC" if last else "NCHW" if second else ""
    if not axes:
        raise ValueError(f"shape {shape} is none of (H, W), (N, H, W), (N, H, W, C), (N, C, H, W)")
    if 0 in shape:
        raise ValueError(f"shape {shape} has no pixels")
    sizes = dict(zip(axes, shape, strict=True))
    if sizes["H"] * sizes["W"] > MAX_PIXELS:
        raise ValueError(f"images of {sizes['H']:,} x {sizes['W']:,} have more than {MAX_PIXELS:,} pixels")
    return axes


def is_supported(dtype: np.dtype[Any]) -> bool:
    """Return whether arrays of this type are read as images: uint8, uint16, bool and floats."""
    return dtype.kind in "bf" or (dtype.kind == "u" and dtype.itemsize <= 2)  # noqa: PLR2004 - bytes


def scale_of(dtype: np.dtype[Any], blocks: Iterable[npt.NDArray[Any]]) -> Scale:
    """Return the scale of an array, from its type, and for floats from its minimum and maximum.

    Floats are from 0 to 1, 0 to 255 or 0 to 65,535 (the smallest range that has the maximum), or from -1 to 1
    if one is negative.

    Args:
        dtype: The array's type.
        blocks: All values of the array; used for floats only.

    Raises:
        ValueError: The type or the range of values is not supported.
    """
    if not is_supported(dtype):
        raise ValueError(f"values of type {dtype} are not supported: use uint8, uint16, bool or a float")
    if dtype.kind == "b":
        return Scale(0, 255)
    if dtype.kind == "u":
        return Scale(0, 1 if dtype.itemsize == 1 else 255 / 65535)
    low, high = 0.0, 0.0
    for block in blocks:  # a value that is not finite makes only its image fail; fmin and fmax ignore NaN
        block = np.where(np.isfinite(block), block, np.nan)  # noqa: PLW2901
        low = min(low, float(np.fmin.reduce(block, axis=None)))
        high = max(high, float(np.fmax.reduce(block, axis=None)))
    scale = float_scale(low, high)
    if scale is None:
        raise ValueError(
            f"values from {low:g} to {high:g} are in no supported range: use 0 to 1, 0 to 255 or -1 to 1"
        )
    return scale


def to_bytes(
    rows: npt.NDArray[Any], axes: str, scale: Scale
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Convert images of an array to 8 bits.

    Args:
        rows: ``(N, ...)``, the other axes as in ``axes``.
        axes: See :func:`axes_of`; for one image without the N.
        scale: See :func:`scale_of`.

    Returns:
        uint8 ``(N, H, W, C)``, and bool ``(N,)``: which images have a value that is not finite.
    """
    bad: npt.NDArray[np.bool_] = np.zeros(len(rows), bool)
    if rows.dtype != np.uint8:
        values = np.asarray(rows, np.float32)
        finite = np.isfinite(values)
        if not finite.all():
            bad = np.logical_not(finite.reshape(len(rows), -1).all(1))
            values = np.where(finite, values, np.float32(0))
        rows = np.clip(np.rint((values - np.float32(scale.low)) * np.float32(scale.factor)), 0, 255)
    images = rows.astype(np.uint8, copy=False)
    if axes == "NCHW":
        images = images.transpose(0, 2, 3, 1)
    return (images[..., None] if axes in ("HW", "NHW") else images), bad


def as_file(image: npt.NDArray[np.uint8]) -> bytes:
    """Return uint8 ``(H, W, 1, 3 or 4)`` as the content of an image file, without loss."""
    height, width, channels = image.shape
    if channels in (1, 3):
        head = f"P{5 if channels == 1 else 6} {width} {height} 255\n"
        return head.encode() + image.tobytes()
    from PIL import Image  # noqa: PLC0415 - for transparent images only

    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", compress_level=1)
    return content.getvalue()
