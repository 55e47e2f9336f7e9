"""Cut a folder of small colour images with known factors from freely licensed photographs.

    python crops.py PHOTOGRAPH... --copyright FILE... --out photographs

README.md beside this file says which photographs. One is used only if a file of copyright names it. Each
image is a square crop of a photograph at random, of random size and position, mirrored or not. The folder
gets ``factors.csv`` and ``ATTRIBUTION.txt``.
"""

from __future__ import annotations

import argparse
import csv
import io
import warnings
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

from infogan_tool.runtime.errors import DataError, OutputExistsError
from infogan_tool.runtime.storage.atomic import printable, read_limited, write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_COPYRIGHT_BYTES: Final = 1_000_000
_MAX_PIXELS: Final = 50_000_000
_SHORT_SIDE: Final = 400
"""Pixels of the shorter side that photographs are reduced to first."""
_SMALLEST_CROP: Final = 0.3
"""Side of the smallest crop, in parts of the shorter side."""
_COLUMNS: Final = ("photograph", "zoom", "horizontal", "vertical", "brightness", "contrast", "warmth")


@dataclass(frozen=True, slots=True)
class Credit:
    """What a file of copyright says of some files."""

    names: tuple[str, ...]
    """Names of files, with ``*`` and ``?``."""
    copyright: str
    licence: str

    def covers(self, path: Path) -> bool:
        """Whether it is of a file of this name."""
        return any(fnmatchcase(path.name, name) for name in self.names)


def parse_copyright(text: str) -> list[Credit]:
    """Return the credits of a Debian file of copyright (machine-readable format 1.0).

    A stanza that names no files, as ``*``, no licence or no owner is left out.
    """
    credits_ = []
    for stanza in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                if key == "License":  # its whole text
                    continue
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        names = tuple(path.rpartition("/")[2] for path in fields.get("Files", "").split())
        names = tuple(name for name in names if name.strip("*"))
        owner, licence = (printable(fields.get(name, "").strip(), 300) for name in ("Copyright", "License"))
        if names and owner and licence:
            credits_.append(Credit(names, owner, licence))
    return credits_


def find_credits(photographs: list[Path], files: list[Path]) -> dict[Path, Credit]:
    """Return the credit of each photograph that has one.

    Raises:
        DataError: A file of copyright cannot be read, or names none of the photographs.
    """
    try:
        texts = [read_limited(path, _MAX_COPYRIGHT_BYTES).decode("utf-8", "replace") for path in files]
    except (OSError, ValueError) as error:
        raise DataError(f"a file of copyright cannot be read: {error}") from error
    known = [credit for text in texts for credit in parse_copyright(text)]
    found = {path: next((c for c in known if c.covers(path)), None) for path in sorted(set(photographs))}
    named = {path: credit for path, credit in found.items() if credit is not None}
    if not named:
        raise DataError("no photograph is named in a file of copyright: give that of its package")
    return named


def read_photograph(path: Path) -> Image.Image:
    """Return a photograph in colour, upright and reduced.

    Raises:
        DataError: It is no JPEG or PNG file, damaged, or larger than 50 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise ValueError(f"it is larger than {_MAX_PIXELS:,} pixels")  # noqa: TRY301
                image.draft("RGB", (2 * _SHORT_SIDE, 2 * _SHORT_SIDE))
                upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # decoders raise any exception on damaged files
        raise DataError(f"{printable(path)} cannot be read: {printable(error, 200)}") from error
    scale = _SHORT_SIDE / min(upright.size)
    return upright.resize((max(1, round(upright.width * scale)), max(1, round(upright.height * scale))))


def cut(
    photographs: dict[str, Image.Image], count: int, size: int, seed: int
) -> tuple[NDArray[np.uint8], list[list[str]]]:
    """Return random crops ``(N, size, size, 3)`` and, of each, the values of the columns of ``factors.csv``.

    Position is that of the crop's centre, -1 to 1 from left to right and from top to bottom; brightness,
    contrast and warmth (red less blue) are the crop's own.
    """
    rng = np.random.default_rng(seed)
    names = sorted(photographs)
    images, rows = np.empty((count, size, size, 3), np.uint8), []
    for index in range(count):
        name = names[rng.integers(len(names))]
        photograph = photographs[name]
        side = rng.uniform(_SMALLEST_CROP, 1) * min(photograph.size)
        left, top = (rng.uniform(0, length - side) for length in photograph.size)
        box = (left, top, left + side, top + side)
        crop = photograph.resize((size, size), Image.Resampling.BOX, box=box)
        if rng.integers(2):
            crop = ImageOps.mirror(crop)
        images[index] = np.asarray(crop)
        grey, (red, _green, blue) = np.asarray(crop.convert("L")), images[index].mean(axis=(0, 1))
        across, down = (
            2 * (start + side / 2) / length - 1
            for start, length in zip((left, top), photograph.size, strict=True)
        )
        numbers = (min(photograph.size) / side, across, down, grey.mean(), grey.std(), red - blue)
        rows.append([name, *(f"{number:.3f}" for number in numbers)])
    return images, rows


def factors_csv(rows: list[list[str]]) -> str:
    """Return the text of ``factors.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", *_COLUMNS])
    writer.writerows([image_name(index), *row] for index, row in enumerate(rows))
    return text.getvalue()


def image_name(index: int) -> str:
    """Return the file name of an image."""
    return f"{index:06}.png"


def attribution(credits_: dict[Path, Credit]) -> str:
    """Return the text that names the owner and the licence of each photograph."""
    lines = [
        "The images in this folder are reduced crops of these photographs. Keep this file with them.",
        "",
    ]
    lines += [f"- {path.name}: {credit.copyright}; {credit.licence}" for path, credit in credits_.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Cut a folder of images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument(
        "--copyright", type=Path, nargs="+", required=True, help="of the photographs' packages"
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (1 <= options.images <= 10**6 and 8 <= options.size <= _SHORT_SIDE):  # noqa: PLR2004
        parser.error(f"images: 1 to 1,000,000; size: 8 to {_SHORT_SIDE}")
    try:
        if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
            raise OutputExistsError(f"{options.out} already exists: name a new folder")  # noqa: TRY301
        credits_ = find_credits(options.photographs, options.copyright)
        photographs = {path.stem: read_photograph(path) for path in credits_}
        images, rows = cut(photographs, options.images, options.size, options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            Image.fromarray(image).save(options.out / image_name(index))
        write_atomic(options.out / "ATTRIBUTION.txt", attribution(credits_))
        write_atomic(options.out / "factors.csv", factors_csv(rows))
    except (DataError, OutputExistsError, OSError) as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
