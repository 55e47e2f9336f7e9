"""Sheets of images, for ``generate`` and ``traverse``."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime import Bundle, BundleMetadata, Latents, Traversal

SHEET_SCALE: Final = 2
"""Default scale of a sheet's images."""

_MAX_PIXELS: Final = 100_000_000
_FONT: Final = 13
_LINE: Final = 18
"""Height of the title, and of the columns' values."""
_BAR: Final = 3
_TOP: Final = 2 * _LINE + _BAR
_MARGIN: Final = 4
_GAP: Final = 2
"""White pixels between the images of a sheet."""
_MAX_LABEL: Final = 16


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


def write_traversal(bundle: "Bundle", traversal: "Traversal", out: Path, scale: int | None) -> None:
    """Generate the images of a traversal and write them to ``out``, with the values of rows and columns.

    A bar above the columns marks the values of a continuous code that training samples, -1 to 1.
    """
    from infogan_tool.runtime import save_png, sheet, to_uint8

    images = to_uint8(bundle.generate(traversal.latents), bundle.image)
    body = sheet(images, traversal.columns, scale=scale or SHEET_SCALE)
    save_png(out, _with_margins(body, traversal, bundle.metadata))


def _with_margins(
    body: "npt.NDArray[np.uint8]", traversal: "Traversal", metadata: "BundleMetadata"
) -> "npt.NDArray[np.uint8]":
    """Return a sheet ``(H, W, C)`` below a title, values and a bar, and beside the labels of the rows."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from infogan_tool.runtime.storage.atomic import printable

    code, values, row_code = traversal.code, traversal.values, traversal.row_code
    continuous = code in metadata.latent.continuous_names
    columns = [
        f"{round(value, 2):g}" if continuous else metadata.shown_label(code, int(value)) for value in values
    ]
    rows = [metadata.shown_label(row_code, row) for row in range(traversal.rows)] if row_code else []
    columns, rows = ([printable(text, _MAX_LABEL) for text in texts] for texts in (columns, rows))
    name = metadata.style_names.get(code)
    font = ImageFont.load_default(_FONT)
    left = max((round(font.getlength(text)) + 2 * _MARGIN for text in rows), default=0)
    height, width, channels = body.shape
    image = Image.new("RGB" if channels > 1 else "L", (left + width, _TOP + height), "white")
    image.paste(Image.fromarray(body if channels > 1 else body[..., 0]), (left, _TOP))
    draw = ImageDraw.Draw(image)
    draw.text(
        (left + _MARGIN, _LINE // 2), printable(f"{code}: {name}" if name else code), "black", font, "lm"
    )
    step = (width - _GAP) / len(columns)
    centres = [left + _GAP / 2 + step * (column + 0.5) for column in range(len(columns))]
    every = 1 + int(max(font.getlength(text) for text in columns) // step)
    for centre, text in list(zip(centres, columns, strict=True))[::every]:
        draw.text((centre, _LINE * 3 // 2), text, "black", font, "mm")
    for row, text in enumerate(rows):
        middle = _TOP + _GAP / 2 + (height - _GAP) / len(rows) * (row + 0.5)
        draw.text((left - _MARGIN, middle), text, "black", font, "rm")
    low, high = max(-1.0, min(values)), min(1.0, max(values))
    if continuous and code not in metadata.latent.periodic and low < high:
        order = np.argsort(values)
        first, last = sorted(np.interp([low, high], np.array(values)[order], np.array(centres)[order]))
        draw.rectangle((first, _TOP - _BAR, last, _TOP - 1), "grey")
    return np.asarray(image).reshape(_TOP + height, left + width, -1)
