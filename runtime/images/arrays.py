"""Arrays of images: uint8 at the edges, float32 NCHW inside, and sheets of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from infogan_tool.runtime.bundle.metadata import ImageSpec

__all__ = ["check_images", "sheet", "to_float", "to_uint8"]

_TOLERANCE: Final = 1e-3
"""How far, as a part of the range, a float image may lie outside of it: rounding, not another scale."""
_PAPER: Final = 255


def check_images(images: object, spec: ImageSpec) -> npt.NDArray[Any]:
    """Return ``images`` if its type and shape are one of those that :func:`to_float` takes.

    Raises:
        ImageError: It is not; the message says what was expected. No layout is guessed.
    """
    channels, height, width = spec.shape
    known: list[tuple[str, tuple[int, ...]]] = [
        ("uint8", (height, width, channels)),
        ("float32", (channels, height, width)),
    ]
    if channels == 1:
        known.insert(0, ("uint8", (height, width)))
    if isinstance(images, np.ndarray) and (images.dtype.name, images.shape[1:]) in known:
        return images
    given = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
    expected = " or ".join(f"{dtype} (N, {', '.join(map(str, shape))})" for dtype, shape in known)
    raise ImageError(
        f"images must be {expected}, uint8 from 0 to 255 and float32 from {spec.low:g} to {spec.high:g}; "
        f"got {given}"
    )


def to_float(images: npt.NDArray[Any], spec: ImageSpec) -> npt.NDArray[np.float32]:
    """Return float32 ``(N, C, H, W)`` in the spec's range.

    Args:
        images: uint8 ``(N, H, W, C)``, or ``(N, H, W)`` where there is one channel, from 0 (black) to 255; or
            float32 ``(N, C, H, W)`` in the spec's range, which is returned as it is.
        spec: The bundle's image spec.

    Raises:
        ImageError: The array is neither, or a float is not finite or out of range.
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
        # Written so that NaN, which compares as False, is refused too.
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
    scaled = (to_float(images, spec) - spec.low) * (255 / (spec.high - spec.low))
    rounded: npt.NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return rounded.transpose(0, 2, 3, 1)


def sheet(
    images: npt.NDArray[np.uint8], columns: int, *, gap: int = 2, scale: int = 1
) -> npt.NDArray[np.uint8]:
    """Lay images out in rows on white.

    Args:
        images: uint8 ``(N, H, W, C)``, at least one.
        columns: Images in a row; the last row may be shorter.
        gap: White pixels between images and around the sheet, not scaled.
        scale: Each pixel of an image becomes ``scale * scale`` pixels.

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
    paper = np.full((rows * step_down + gap, columns * step_right + gap, channels), _PAPER, np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * step_down
        left = gap + index % columns * step_right
        enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
        paper[top : top + height * scale, left : left + width * scale] = enlarged
    return paper
