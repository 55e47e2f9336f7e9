"""Image files to arrays and back.

:mod:`infogan_tool.runtime.images.formats` says which are opened. :func:`fit` is the one place that brings a
image to what an encoder was trained on.
"""

from __future__ import annotations

import io
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.arrays import sheet, to_float, to_uint8
from infogan_tool.runtime.images.formats import FORMATS, MAX_PIXELS, name_of, open_header, open_source
from infogan_tool.runtime.images.plain_png import PLAIN_BYTES, read_plain_png
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.storage.atomic import atomic_open, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    import numpy.typing as npt

    from infogan_tool.runtime.bundle.metadata import ImageSpec

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "as_png",
    "fit",
    "load_image",
    "preprocess",
    "read_image",
    "save_png",
    "sheet",
    "to_uint8",
]

_MAX_REASON: Final = 200
_SENSELESS: Final = (LookupError, TypeError, ArithmeticError, AttributeError, AssertionError)
"""What decoders trip over, and what tells nobody anything."""
_STRIP_PIXELS: Final = 1 << 20
_EXIF_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of the EXIF orientation."""


def load_image(
    source: str | Path | bytes | BinaryIO, image: ImageSpec, *, raw: bool = False
) -> npt.NDArray[np.float32]:
    """Read an image and bring it to what a bundle's encoder was trained on.

    Args:
        source: The path of a file, a file's content, or an open binary file; in one of :data:`FORMATS`, told
            by its content. Of an animation the first frame is read.
        image: The bundle's image spec. Where it declares a preprocessing, the figure is found in the image
            and laid out as :mod:`infogan_tool.runtime.preprocessing.centred_foreground` says; what is laid
            out so already
            keeps its values to the bit. Otherwise, and where no figure is found, the image is padded and
            resized; see :func:`fit`.
        raw: Pad and resize only, whatever the spec declares.

    Returns:
        float32 ``(C, H, W)`` in the spec's range; :meth:`Bundle.encode` takes a stack of them.

    Raises:
        ImageError: The source is missing, not a regular file, not an image, damaged or too large.
    """
    floats: npt.NDArray[np.float32] = to_float(read_image(source, image, raw=raw)[None], image)[0]
    return floats


def read_image(
    source: str | Path | bytes | BinaryIO, image: ImageSpec, *, raw: bool = False
) -> npt.NDArray[np.uint8]:
    """Return what :func:`load_image` returns as uint8 ``(H, W, C)``, 0 is black."""
    name = name_of(source)
    try:
        file = open_source(source)
    except OSError as error:
        raise ImageError(f"{name}: {_reason(error)}") from error
    except ValueError as error:
        raise ImageError(printable(error)) from error
    try:
        with file:
            found = _plain(file, image, raw=raw)
            if found is not None:
                return found
            with _no_warnings():
                input_image = open_header(file)
                input_image.load()
                return preprocess(_upright(input_image), image, raw=raw)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except MemoryError as error:
        raise ImageError(f"{name}: there is not enough memory for it") from error
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(f"{name}: damaged: {_reason(error)}") from error


def as_png(image: npt.NDArray[np.float32], spec: ImageSpec) -> bytes:
    """Return an image as :func:`load_image` returns it, float32 ``(C, H, W)``, as a PNG file's content.

    Raises:
        ImageError: The array is of another type or shape, or a value is not finite or out of range.
    """
    values = to_uint8(np.asarray(image)[None], spec)[0]
    content = io.BytesIO()
    Image.fromarray(values if spec.channels == 3 else values[..., 0]).save(content, format="PNG")  # noqa: PLR2004
    return content.getvalue()


def preprocess(image: Image.Image, spec: ImageSpec, *, raw: bool = False) -> npt.NDArray[np.uint8]:
    """Bring an opened image of any size and mode to ``spec``, by its preprocessing where it declares one.

    Args:
        image: Upright.
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
        if matches_preprocessing(values, preprocessing):
            return values[..., None]
    from infogan_tool.runtime.preprocessing.centred_foreground import apply_preprocessing  # noqa: PLC0415 - often not needed

    found = apply_preprocessing(image, spec, preprocessing)
    return fit(image, spec) if found is None else found[..., None]


def fit(image: Image.Image, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Bring an opened image of any size and mode to the size and channels of ``spec``.

    16-bit and float images are scaled to 8 bits; the image is resized with antialiasing, its aspect kept,
    and padded to a square with the median colour of its border; what is transparent is laid on white, or on
    black where the opaque part is light. An image that has the size and channels already keeps its values.

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


def save_png(path: str | Path, image: npt.NDArray[np.uint8]) -> None:
    """Write uint8 ``(H, W, C)`` or ``(H, W)`` as a PNG, aside and renamed.

    Raises:
        ImageError: The array is of another type or shape.
        OSError: The file cannot be written.
    """
    channels = image.shape[2] if image.ndim == 3 else 1  # noqa: PLR2004 - HWC
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3) or not image.size:
        raise ImageError(f"a PNG needs a uint8 image (H, W, 1 or 3); got {image.dtype} {image.shape}")
    input_image = Image.fromarray(image if channels == 3 else image.reshape(image.shape[:2]))  # noqa: PLR2004 - RGB
    with atomic_open(path) as file:
        input_image.save(file, format="PNG")


# --- opening -----------------------------------------------------------------------------------------------


def _plain(file: BinaryIO, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
    """Return a small grey PNG that needs no preprocessing, as most are in a bulk run; None: it is another."""
    if spec.channels != 1:
        return None
    content = file.read(PLAIN_BYTES + 1)
    file.seek(0)
    values = read_plain_png(content, spec.size) if len(content) <= PLAIN_BYTES else None
    if values is None or not (
        raw or spec.preprocessing is None or matches_preprocessing(values, spec.preprocessing)
    ):
        return None
    return values[..., None]


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read says nothing of the image
        turn = None
    return image if turn is None else image.transpose(turn)


# --- modes -------------------------------------------------------------------------------------------------


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB or, where something is transparent, RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if image.has_transparency_data:
        image = _in_mode(image, "RGBA")
        return image.convert("RGB") if image.getchannel("A").getextrema()[0] == 255 else image  # noqa: PLR2004
    return _in_mode(image, "L" if image.mode in ("1", "L") else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy what may be very large


def _scaled(image: Image.Image) -> Image.Image:
    """Return an image of 16 or 32 bits, or of floats, as L.

    Full intensity is 65,535 for 16 bits, and for 32 bits too where nothing is above it, because that is how
    readers return 16-bit images. For floats it is the first of 1, 255 and 65,535 that nothing is above.
    """
    # NaN must come through, so that it is refused.
    ends = np.array([[rows.min(), rows.max()] for _, strip in _strips(image) for rows in [np.asarray(strip)]])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0, 2.0**31 - 1)
    full = next((scale for scale in scales if high <= scale), None)
    if full is None or not low >= 0:
        raise ImageError(f"the image holds values from {low:g} to {high:g}, a scale that is not known")
    levels = np.empty((image.height, image.width), np.uint8)
    for top, strip in _strips(image):
        scaled = np.multiply(np.asarray(strip), 255.0 / full, dtype=np.float32)
        levels[top : top + strip.height] = np.rint(scaled).astype(np.uint8)
    return Image.fromarray(levels)


def _opaque(image: Image.Image) -> Image.Image:
    """Lay what is transparent on white, or on black where the opaque part is light: it stays visible."""
    if image.mode != "RGBA":
        return image
    bright = opaque = 0
    for _, strip in _strips(image):
        opacity = np.asarray(strip.getchannel("A"), np.uint32)
        bright += int((np.asarray(strip.convert("L"), np.uint32) * opacity).sum(dtype=np.uint64))
        opaque += int(opacity.sum(dtype=np.uint64))
    paper = (0, 0, 0, 255) if 2 * bright > 255 * opaque else (255, 255, 255, 255)
    laid = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        laid.paste(
            Image.alpha_composite(Image.new("RGBA", strip.size, paper), strip).convert("RGB"), (0, top)
        )
    return laid


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image from top to bottom in parts of a million pixels, so that no copy is as large as it."""
    height = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


# --- warnings and reasons ----------------------------------------------------------------------------------


class _Silence:
    """Warnings are off while any thread reads an image: the filters are the process's, so it counts them."""

    lock = threading.Lock()
    depth = 0
    saved: Any = None


@contextmanager
def _no_warnings() -> Iterator[None]:
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14: the filters are the thread's own
        with warnings.catch_warnings(action="ignore"):
            yield
        return
    with _Silence.lock:
        if _Silence.depth == 0:
            _Silence.saved = warnings.catch_warnings(action="ignore")
            _Silence.saved.__enter__()
        _Silence.depth += 1
    try:
        yield
    finally:
        with _Silence.lock:
            _Silence.depth -= 1
            if _Silence.depth == 0:
                _Silence.saved.__exit__(None, None, None)


def _reason(error: Exception) -> str:
    if isinstance(error, _SENSELESS):
        return "what its header says makes no sense"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text[:_MAX_REASON]) or type(error).__name__
