"""Arrays of images: uint8 NHWC to float32 NCHW and back, value scales of floats, and sheets of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

_TOLERANCE: Final = 1e-3
"""How far values may lie outside of their range, as a share of it: rounding, not another scale."""
_WHITE: Final = 255
_ROWS: Final = 256


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of values to 0 (black) to 255: ``(value - low) * factor``."""

    low: float
    factor: float


def float_scale(low: float, high: float) -> Scale | None:
    """Return the scale of float images by their least and greatest value; None if it is unknown.

    The range is the first of 0 to 1, 0 to 255 and 0 to 65,535 that holds the values, or -1 to 1 if one is
    negative.
    """
    if low >= -_TOLERANCE:
        full = next((full for full in (1.0, 255.0, 65535.0) if high <= full * (1 + _TOLERANCE)), None)
        return None if full is None else Scale(0, 255 / full)
    return Scale(-1, 127.5) if low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE else None


def check_images(images: object, spec: ImageSpec) -> npt.NDArray[Any]:
    """Return ``images`` after checking type and shape; see :func:`to_float`.

    Raises:
        ImageError: They are not of the image spec. No layout is guessed.
    """
    channels, height, width = spec.shape
    valid: list[tuple[str, tuple[int, ...]]] = [
        ("uint8", (height, width, channels)),
        ("float32", (channels, height, width)),
    ]
    if channels == 1:
        valid.insert(0, ("uint8", (height, width)))
    if isinstance(images, np.ndarray) and (images.dtype.name, images.shape[1:]) in valid:
        return images
    given = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
    expected = " or ".join(f"{dtype} (N, {', '.join(map(str, shape))})" for dtype, shape in valid)
    raise ImageError(
        f"images must be {expected}, uint8 from 0 to 255 and float32 from {spec.low:g} to {spec.high:g}; "
        f"got {given}"
    )


def to_float(images: npt.NDArray[Any], spec: ImageSpec) -> npt.NDArray[np.float32]:
    """Return float32 ``(N, C, H, W)`` in the spec's range.

    Args:
        images: uint8 ``(N, H, W, C)``, or ``(N, H, W)`` where there is one channel, from 0 (black) to 255; or
            float32 ``(N, C, H, W)`` in the spec's range, which is not copied if it is contiguous.
        spec: The bundle's image spec.

    Raises:
        ImageError: The array is neither, or a value is not finite or out of range.
    """
    images = check_images(images, spec)
    if images.dtype == np.uint8:
        planes = images.reshape(len(images), spec.size, spec.size, spec.channels).transpose(0, 3, 1, 2)
        scaled: npt.NDArray[np.float32] = np.divide(
            np.ascontiguousarray(planes), np.float32(255), dtype=np.float32
        )
        if (spec.low, spec.high) != (0, 1):
            scaled *= np.float32(spec.high - spec.low)
            scaled += np.float32(spec.low)
        return scaled
    if images.size:
        slack = _TOLERANCE * (spec.high - spec.low)
        smallest, largest = float(images.min()), float(images.max())
        # NaN compares as False and is refused too.
        if not (spec.low - slack <= smallest and largest <= spec.high + slack):
            raise ImageError(
                f"float32 images must be finite and from {spec.low:g} to {spec.high:g}; "
                f"got {smallest:g} to {largest:g}"
            )
    return np.ascontiguousarray(images, np.float32)


def to_uint8(images: npt.NDArray[np.float32], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Return float32 images ``(N, C, H, W)`` in the spec's range as uint8 ``(N, H, W, C)``, rounded.

    Raises:
        ImageError: The array is of another type or shape, or a value is not finite or out of range.
    """
    if np.asarray(images).dtype != np.float32:
        raise ImageError(f"images must be float32 (N, C, H, W), not {np.asarray(images).dtype}")
    rounded = np.empty(check_images(images, spec).shape, np.uint8)
    for start in range(0, len(images), _ROWS):  # intermediate results are as large as the images
        rows = slice(start, start + _ROWS)
        scaled = (to_float(images[rows], spec) - spec.low) * (255 / (spec.high - spec.low))
        rounded[rows] = np.clip(np.rint(scaled), 0, 255)
    return rounded.transpose(0, 2, 3, 1)


def sheet(
    images: npt.NDArray[np.uint8], columns: int, *, gap: int = 2, scale: int = 1
) -> npt.NDArray[np.uint8]:
    """Arrange images in rows on a white sheet.

    Args:
        images: uint8 ``(N, H, W, C)``, at least one.
        columns: Images per row; the last row may be shorter.
        gap: White pixels between images and around the sheet, not scaled.
        scale: Enlargement of each image; a whole number.

    Returns:
        uint8 ``(H', W', C)``.

    Raises:
        ImageError: There is no image, the array is of another type or shape, or a number is out of range.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):  # noqa: PLR2004 - NHWC
        raise ImageError(
            f"a sheet needs uint8 images (N, H, W, C), at least one; got {images.dtype} {images.shape}"
        )
    if columns < 1 or gap < 0 or scale < 1:
        raise ImageError("columns and scale of a sheet must be at least 1, and its gap at least 0")
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    step_down, step_right = height * scale + gap, width * scale + gap
    canvas = np.full((rows * step_down + gap, columns * step_right + gap, channels), _WHITE, np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * step_down
        left = gap + index % columns * step_right
        enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[top : top + height * scale, left : left + width * scale] = enlarged
    return canvas
