"""Sheets of images, for ``generate`` and ``traverse``."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, Latents

SHEET_SCALE: Final = 2
"""Default scale of a sheet's images."""

_MAX_PIXELS: Final = 100_000_000


def check_sheet(bundle: "Bundle", count: int, scale: int | None) -> None:
    """Check the size of a sheet before its images are generated.

    Raises:
        UsageError: The sheet would have more than 100 million pixels.
    """
    if count * (bundle.image.size * (scale or SHEET_SCALE)) ** 2 > _MAX_PIXELS:
        raise UsageError(
            f"{count:,} images are too many for one sheet of at most {_MAX_PIXELS:,} pixels: "
            "give fewer, or a lower --scale"
        )


def write_sheet(bundle: "Bundle", latents: "Latents", columns: int, out: Path, scale: int | None) -> None:
    """Generate the images of ``latents`` and write them to ``out``, in rows of ``columns``."""
    from infogan_tool.runtime import save_png, sheet, to_uint8

    images = to_uint8(bundle.generate(latents), bundle.image)
    save_png(out, sheet(images, columns, scale=scale or SHEET_SCALE))
