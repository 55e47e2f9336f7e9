"""``infogan-tool generate``: codes to images."""

import math
import os
import re
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.codes import codes_of, note_extrapolated, parse_categories, parse_styles
from infogan_tool.cli.options import (
    BundleArgument,
    DeviceOption,
    ForceOption,
    HiddenBundleOption,
    ImageScaleOption,
    SampleSeedOption,
    one_bundle,
)
from infogan_tool.cli.sheets import check_sheet, write_sheet
from infogan_tool.runtime.errors import OutputExistsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from infogan_tool.runtime import Bundle

_CODES_FILE: Final = "codes.jsonl"
_LISTED: Final = re.compile(rb'\{"file": "(\d{5,18}\.png)"')
"""Beginning of a line of codes.jsonl."""


def generate(
    bundle: BundleArgument = None,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.png|DIR",
            help="A sheet of all images, or a folder of PNGs.",
        ),
    ],
    count: Annotated[int, typer.Option("--count", "-n", min=1, metavar="N", help="Number of images.")] = 64,
    seed: SampleSeedOption = 0,
    category: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL|K=INDEX",
            help="Fix a category by its label, such as cat, or by code and number: k1=7. Repeatable.",
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C=VALUE", help="Fix a continuous code, by code or name: c1=0.5, slant=0.5. Repeatable."
        ),
    ] = None,
    bundle_option: HiddenBundleOption = None,
    device: DeviceOption = "auto",
    scale: ImageScaleOption = None,
    force: ForceOption = False,
) -> None:
    """Generate images from codes.

    FILE.png is a sheet of all images.
    DIR gets one PNG per image, and codes.jsonl with their codes. A label of
    several categories samples from all of them.

    Examples:
      infogan-tool generate --out sheet.png

      infogan-tool generate bundle --out sheet.png

      infogan-tool generate --category 7 --style slant=0.5 --out sevens
    """
    output.check_png_or_folder(out, force=force)
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(one_bundle(bundle, bundle_option), device=device)
    fixed: dict[str, Any] = {
        "categories": parse_categories(category or [], opened.metadata),
        "styles": parse_styles(style or [], opened.metadata),
    }
    if out.suffix.lower() == ".png":
        check_sheet(opened, count, scale)
        latents = opened.sample(count, seed, **fixed)
        write_sheet(opened, latents, math.ceil(math.sqrt(count)), out, scale)
        output.note(f"wrote {output.plural(count, 'image')} of seed {seed} to {out}")
    else:
        listed = _read_list(out)
        _check_folder(out, count, listed)
        opened.generate(opened.sample(1, seed, **fixed))  # before anything is created or removed
        is_new = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        _remove(out, listed)
        try:
            _write_folder(opened, out, count=count, seed=seed, fixed=fixed, scale=scale or 1)
        except BaseException:
            with suppress(OSError):
                _remove_written(out, count)
                if is_new:
                    out.rmdir()
            raise
        output.note(f"wrote {output.plural(count, 'image')} of seed {seed} and {_CODES_FILE} to {out}")
    note_extrapolated(fixed["styles"], opened.metadata)
    if opened.fallback:
        output.note(opened.fallback)


def _read_list(out: Path) -> set[str]:
    """Return the images that the codes.jsonl of an older output lists."""
    from infogan_tool.runtime.storage.atomic import open_regular

    try:
        with open_regular(out / _CODES_FILE) as codes:
            found = [_LISTED.match(line) for line in iter(lambda: codes.readline(1 << 16), b"")]
    except FileNotFoundError:
        return set()
    except ValueError as error:
        raise OutputExistsError(out / _CODES_FILE, "it is not a regular file; give another folder") from error
    return {match[1].decode() for match in found if match}


def _check_folder(out: Path, count: int, listed: "Collection[str]") -> None:
    """Raise if an image would replace a file that is not of an older output."""
    for number in range(count):
        name = _image_name(number, count)
        if name not in listed and os.path.lexists(out / name):
            raise OutputExistsError(
                out / name, f"{_CODES_FILE} does not list it; remove it, or give another folder"
            )


def _remove(out: Path, names: "Iterable[str]") -> None:
    """Remove codes.jsonl and images; the list goes first: a folder with one is complete."""
    (out / _CODES_FILE).unlink(missing_ok=True)
    for name in names:
        (out / name).unlink(missing_ok=True)


def _remove_written(out: Path, count: int) -> None:
    """Remove the images of an output that was not completed: no list has them."""
    names = (_image_name(number, count) for number in range(count))
    _remove(out, takewhile(lambda name: os.path.lexists(out / name), names))


def _image_name(number: int, count: int) -> str:
    return f"{number:0{max(5, len(str(count - 1)))}d}.png"


def _write_folder(
    bundle: "Bundle", out: Path, *, count: int, seed: int, fixed: dict[str, Any], scale: int
) -> None:
    from infogan_tool.runtime import save_png, to_uint8
    from infogan_tool.runtime.inference.shards import BATCH_ROWS, split
    from infogan_tool.runtime.storage.atomic import atomic_open

    # The list is written last: a folder with a list is complete.
    with atomic_open(out / _CODES_FILE, "w", encoding="utf-8", newline="\n") as codes:
        for rows in split(count, rows=BATCH_ROWS):
            latents = bundle.sample(rows.stop - rows.start, seed, start=rows.start, **fixed)
            images = to_uint8(bundle.generate(latents), bundle.image)
            for row, image in enumerate(images):
                number = rows.start + row
                name = _image_name(number, count)
                save_png(out / name, image.repeat(scale, axis=0).repeat(scale, axis=1))
                record = {
                    "file": name,
                    "seed": seed,
                    "image": number,
                    **codes_of(latents, row, bundle.metadata),
                    "bundle": bundle.metadata.bundle_id,
                    "provider": bundle.provider,
                }
                print(output.json_line(record), file=codes)
