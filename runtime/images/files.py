"""Read image files into arrays, and write arrays as image files."""

from __future__ import annotations

import io
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
from PIL import Image

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.arrays import to_float, to_uint8
from infogan_tool.runtime.images.convert import preprocess
from infogan_tool.runtime.images.formats import name_of, open_header, open_source
from infogan_tool.runtime.images.plain_png import PLAIN_BYTES, read_plain_png
from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.storage.atomic import atomic_open, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    import numpy.typing as npt

    from infogan_tool.runtime.images.spec import ImageSpec

    ImageLike = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[Any]

_MAX_REASON: Final = 200
_INTERNAL_ERRORS: Final = (LookupError, TypeError, ArithmeticError, AttributeError, AssertionError)
"""Errors of decoders whose messages do not help the user."""
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
"""The transposition that undoes each EXIF orientation."""


def load_image(source: ImageLike, image: ImageSpec, *, raw: bool = False) -> npt.NDArray[np.float32]:
    """Read an image and preprocess it for a bundle's encoder.

    Args:
        source: Path, content, or open binary file, in one of
            :data:`~infogan_tool.runtime.images.formats.FORMATS`; the first bytes decide which. The first
            frame of an animation is read. Or a PIL image of any mode and size; a uint8 array ``(H, W)`` or
            ``(H, W, C)`` of any size, C 1, 3 or 4; or a float32 array ``(C, H, W)`` as
            :meth:`Bundle.generate` returns, which is not preprocessed.
        image: The bundle's image spec. If it declares a preprocessing, the foreground object is segmented and
            centred as :mod:`infogan_tool.runtime.preprocessing.centred_foreground` describes. An image that
            already matches the preprocessing keeps its values to the bit. Without a preprocessing, and if no
            object is found, the image is padded and resized; see
            :func:`~infogan_tool.runtime.images.convert.fit`.
        raw: Only pad and resize, whatever the spec declares.

    Returns:
        float32 ``(C, H, W)`` in the spec's range; :meth:`Bundle.encode` takes a stack of them.

    Raises:
        ImageError: The source is missing, not a regular file, not an image, damaged or too large.
    """
    if _is_network_input(source):
        single: npt.NDArray[np.float32] = to_float(source[None], image)[0]
        return single
    floats: npt.NDArray[np.float32] = to_float(read_image(source, image, raw=raw)[None], image)[0]
    return floats


def read_image(source: ImageLike, image: ImageSpec, *, raw: bool = False) -> npt.NDArray[np.uint8]:
    """Return the image of :func:`load_image` as uint8 ``(H, W, C)``, 0 is black."""
    if _is_network_input(source):
        rounded: npt.NDArray[np.uint8] = to_uint8(source[None], image)[0]
        return rounded
    given = _from_array(source) if isinstance(source, np.ndarray) else source
    if isinstance(given, Image.Image):
        with _named_errors("the image"), _no_warnings():
            return preprocess(upright(given), image, raw=raw)
    name = name_of(given)
    try:
        file = open_source(given)
    except OSError as error:
        raise ImageError(f"{name}: {_reason(error)}") from error
    except ValueError as error:
        raise ImageError(printable(error)) from error
    with _named_errors(name), file:
        plain = _read_plain(file, image, raw=raw)
        if plain is not None:
            return plain
        with _no_warnings():
            input_image = open_header(file)
            input_image.load()
            return preprocess(upright(input_image), image, raw=raw)


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except MemoryError as error:
        raise ImageError(f"{name}: there is not enough memory for it") from error
    except Exception as error:  # decoders raise many types on damaged files
        raise ImageError(f"{name}: damaged: {_reason(error)}") from error


def _is_network_input(source: object) -> TypeGuard[npt.NDArray[np.float32]]:
    return isinstance(source, np.ndarray) and source.dtype == np.float32 and source.ndim == 3  # noqa: PLR2004


def _from_array(pixels: npt.NDArray[Any]) -> Image.Image:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,), (4,)):
        raise ImageError(
            "an image must be uint8 (H, W) or (H, W, C) with 1, 3 or 4 channels, or float32 (C, H, W); got "
            f"{pixels.dtype} {shape}"
        )
    if not pixels.size:
        raise ImageError("an image without pixels")
    return _to_pillow(np.ascontiguousarray(pixels))


def as_png(image: npt.NDArray[np.float32], spec: ImageSpec) -> bytes:
    """Return the content of a PNG file of a float32 image ``(C, H, W)``.

    Raises:
        ImageError: The array is of another type or shape, or a value is not finite or out of range.
    """
    content = io.BytesIO()
    _to_pillow(to_uint8(np.asarray(image)[None], spec)[0]).save(content, format="PNG")
    return content.getvalue()


def save_png(path: str | Path, image: npt.NDArray[np.uint8]) -> None:
    """Write uint8 ``(H, W, C)`` or ``(H, W)`` as a PNG file, atomically.

    Raises:
        ImageError: The array is of another type or shape.
        OSError: The file cannot be written.
    """
    channels = image.shape[2] if image.ndim == 3 else 1  # noqa: PLR2004 - HWC
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or channels not in (1, 3) or not image.size:
        raise ImageError(f"a PNG needs a uint8 image (H, W, 1 or 3); got {image.dtype} {image.shape}")
    with atomic_open(path) as file:
        _to_pillow(image).save(file, format="PNG")


def _to_pillow(image: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)


# --- opening -----------------------------------------------------------------------------------------------


def _read_plain(file: BinaryIO, spec: ImageSpec, *, raw: bool) -> npt.NDArray[np.uint8] | None:
    """Return a small grey PNG file that needs no preprocessing; None for any other file."""
    if spec.channels != 1:
        return None
    content = file.read(PLAIN_BYTES + 1)
    file.seek(0)
    values = read_plain_png(content, spec.size) if len(content) <= PLAIN_BYTES else None
    if values is None or not matches_preprocessing(values[None], None if raw else spec.preprocessing)[0]:
        return None
    return values[..., None]


def upright(image: Image.Image) -> Image.Image:
    """Return an image turned as its EXIF orientation says."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF is ignored
        turn = None
    return image if turn is None else image.transpose(turn)


# --- warnings and errors -----------------------------------------------------------------------------------


class _Silence:
    """The number of threads that are reading an image; while it is not 0, warnings are off in the process."""

    lock = threading.Lock()
    depth = 0
    saved: Any = None


@contextmanager
def _no_warnings() -> Iterator[None]:
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14: each thread has its own filters
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
    if isinstance(error, _INTERNAL_ERRORS):
        return "its header is invalid"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text[:_MAX_REASON]) or type(error).__name__
