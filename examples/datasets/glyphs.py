"""Render the letters A to Z of many fonts: a folder of images, with the letter as class and known factors.

    python examples/datasets/glyphs.py OUT [FONTS ...] [--size 28] [--variable]

FONTS are font files, or folders that are searched for them; default: /usr/share/fonts. A font is left out if
one of its letters is missing or blank, if two of its letters are the same image, or if another font has the
same letters. Letters are white on black, the longer side five sevenths of the image, centred.

OUT gets one folder of PNG files for each letter, and factors.csv with the column ``letter``. With
``--variable`` only variable fonts are used: each letter is rendered at 5 levels of every axis, and the file
also has those of ``weight`` (100 to 1000), ``width`` (percent) and ``slant`` (degrees) that vary; a font
without an axis is at 400, 100 and 0.

    infogan-tool train --data OUT --categorical 26 --out run
"""

from __future__ import annotations

import argparse
import csv
import itertools
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = {".ttf", ".otf", ".pfb"}
AXES = {b"Weight": ("weight", 400.0), b"Width": ("width", 100.0), b"Slant": ("slant", 0.0)}
LEVELS = 5
POINTS = 96
"""Height in pixels that glyphs are rendered at, before they are made smaller."""
MISSING = "\U0010ffff"
"""A character that no font has, which is rendered as a font's missing glyph."""


def find_fonts(paths: list[Path]) -> list[Path]:
    """Return the font files among ``paths`` and in their folders, sorted."""
    files = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
    return sorted({file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()})


def glyph(font: ImageFont.FreeTypeFont, letter: str, size: int) -> Image.Image | None:
    """Return a letter's image of ``size`` x ``size``; None where it is blank or cannot be rendered."""
    canvas = Image.new("L", (4 * POINTS, 4 * POINTS))
    try:
        ImageDraw.Draw(canvas).text((2 * POINTS, 2 * POINTS), letter, fill=255, font=font, anchor="mm")
    except (OSError, ValueError):
        return None
    box = canvas.getbbox()
    if box is None:
        return None
    cut = canvas.crop(box)
    factor = size * 5 / 7 / max(cut.size)
    cut = cut.resize([max(round(side * factor), 1) for side in cut.size], Image.Resampling.LANCZOS)
    image = Image.new("L", (size, size))
    image.paste(cut, ((size - cut.width) // 2, (size - cut.height) // 2))
    return image


def letters(font: ImageFont.FreeTypeFont, size: int) -> dict[str, Image.Image] | None:
    """Return the images of all letters; None where one is missing or two are the same."""
    images = {letter: glyph(font, letter, size) for letter in string.ascii_uppercase}
    missing = glyph(font, MISSING, size)
    seen = {image.tobytes() for image in images.values() if image is not None}
    if len(seen) < len(images) or (missing is not None and missing.tobytes() in seen):
        return None
    return {letter: image for letter, image in images.items() if image is not None}


def instances(font: ImageFont.FreeTypeFont, *, variable: bool) -> Iterator[dict[str, float]]:
    """Set the font to each combination of its axes' levels, and yield the values; once where it has none."""
    if not variable:
        yield {}
        return
    try:
        axes = font.get_variation_axes()
    except OSError:  # not a variable font
        return
    levels = []
    for axis in axes:
        low, high = axis["minimum"], axis["maximum"]
        known = axis["name"] in AXES
        steps = [low + (high - low) * k / (LEVELS - 1) for k in range(LEVELS)]
        levels.append(steps if known else [axis["default"]])
    for values in itertools.product(*levels):
        font.set_variation_by_axes(list(values))
        given = {axis["name"]: value for axis, value in zip(axes, values, strict=True)}
        yield {name: given.get(key, default) for key, (name, default) in AXES.items()}


def main() -> None:
    """Render the letters."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("fonts", type=Path, nargs="*", default=[Path("/usr/share/fonts")])
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--variable", action="store_true")
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} already exists: give another folder")
    rows, seen, used = [], set(), 0
    for file in find_fonts(options.fonts):
        try:
            font = ImageFont.truetype(file, POINTS)
        except OSError:
            continue
        before = len(rows)
        for number, factors in enumerate(instances(font, variable=options.variable)):
            images = letters(font, options.size)
            digest = images and b"".join(image.tobytes() for image in images.values())
            if not images or digest in seen:
                continue
            seen.add(digest)
            for letter, image in images.items():
                path = Path(letter) / f"{file.parent.name}-{file.stem}-{file.suffix[1:]}-{number}.png"
                (options.out / path).parent.mkdir(parents=True, exist_ok=True)
                image.save(options.out / path)
                rows.append({"path": path.as_posix(), "letter": letter, **factors})
        used += len(rows) > before
    if not rows:
        sys.exit("no font with all letters was found: name font files or folders")
    with (options.out / "factors.csv").open("w", newline="", encoding="utf-8") as file:
        varying = [name for name in rows[0] if len({row[name] for row in rows}) > 1]
        table = csv.DictWriter(file, varying, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows):,} images of {used:,} fonts in {options.out}")


if __name__ == "__main__":
    main()
