"""Write frames with a caption as a GIF or WebP animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.formats import ANIMATION_SUFFIXES
from infogan_tool.runtime.storage.atomic import atomic_open, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    import numpy.typing as npt

MAX_FRAMES: Final = 1000
"""Most frames of an animation."""
MAX_TOTAL_PIXELS: Final = 200_000_000
"""Most pixels of all frames together."""

_CAPTION: Final = 22
"""Height of the caption in pixels."""
_BAR: Final = 3
"""Height of the progress bar below it."""
_MARGIN: Final = 5
_TEXT: Final = 14
_WHITE: Final = 255
_DARK_GREY: Final = 30
_LIGHT_GREY: Final = 205
_FASTEST: Final = 20
"""Least milliseconds of a frame; viewers slow down faster ones."""


def captioned(frame: npt.NDArray[np.uint8], text: str, progress: float) -> npt.NDArray[np.uint8]:
    """Return a frame with a caption and a progress bar above it.

    Args:
        frame: uint8 ``(H, W, C)``, C 1 or 3.
        text: The caption; control characters are escaped, and text that does not fit is cropped.
        progress: Length of the bar, from 0 to 1.

    Returns:
        uint8 ``(H + 25, W, C)``.
    """
    width, channels = frame.shape[1:]
    band = Image.new("L", (width, _CAPTION + _BAR), _WHITE)
    draw, font = ImageDraw.Draw(band), ImageFont.load_default(_TEXT)
    draw.text((_MARGIN, _CAPTION // 2), printable(text), fill=_DARK_GREY, font=font, anchor="lm")
    draw.rectangle((0, _CAPTION, width, _CAPTION + _BAR - 1), fill=_LIGHT_GREY)
    bar = round(width * min(max(progress, 0.0), 1.0))
    draw.rectangle((0, _CAPTION, bar, _CAPTION + _BAR - 1), fill=_DARK_GREY)
    above = np.asarray(band)[..., None].repeat(channels, axis=2)
    return np.concatenate([above, frame])


def animate(
    frames: Sequence[npt.NDArray[np.uint8]], file: IO[bytes], kind: str, milliseconds: int | Sequence[int]
) -> None:
    """Write frames as a looping animation to an open file.

    Args:
        frames: uint8 ``(H, W, C)``, C 1 or 3, all of one shape.
        file: Open for writing.
        kind: ``"GIF"``, or ``"WEBP"``, which is lossless and smaller.
        milliseconds: Duration of each frame, or one for all; at least 20.

    Raises:
        ImageError: There is no frame, they differ in shape, or there are too many.
    """
    _check(frames)
    durations = [milliseconds] * len(frames) if isinstance(milliseconds, int) else list(milliseconds)
    if len(durations) != len(frames):
        raise ImageError(f"{len(frames)} frames need as many durations, not {len(durations)}")
    images = [Image.fromarray(f if f.shape[2] == 3 else f[..., 0]) for f in frames]  # noqa: PLR2004 - RGB
    settings = {"lossless": True, "method": 4} if kind == "WEBP" else {"optimize": False}
    images[0].save(
        file,
        format=kind,
        save_all=True,
        append_images=images[1:],
        duration=[max(_FASTEST, each) for each in durations],
        loop=0,
        **settings,
    )


def save_animation(
    path: str | Path, frames: Sequence[npt.NDArray[np.uint8]], milliseconds: int | Sequence[int]
) -> None:
    """Write frames as ``.gif`` or ``.webp``, atomically; see :func:`animate`.

    Raises:
        ImageError: The name has another ending, or as :func:`animate`.
        OSError: The file cannot be written.
    """
    kind = ANIMATION_SUFFIXES.get(Path(path).suffix.lower())
    if kind is None:
        raise ImageError(f"{path}: an animation is a {' or '.join(ANIMATION_SUFFIXES)} file")
    with atomic_open(path) as file:
        animate(frames, file, kind, milliseconds)


def _check(frames: Sequence[npt.NDArray[np.uint8]]) -> None:
    if not frames:
        raise ImageError("an animation needs at least one frame")
    shape = frames[0].shape
    if len(shape) != 3 or shape[2] not in (1, 3) or not frames[0].size:  # noqa: PLR2004 - HWC
        raise ImageError(f"a frame is uint8 (H, W, 1 or 3), not {shape}")
    if any(frame.shape != shape or frame.dtype != np.uint8 for frame in frames):
        raise ImageError("the frames of an animation are uint8 and of one shape")
    if len(frames) > MAX_FRAMES or len(frames) * shape[0] * shape[1] > MAX_TOTAL_PIXELS:
        raise ImageError(
            f"{len(frames):,} frames of {shape[1]:,} x {shape[0]:,} pixels are too many for an animation"
        )
