"""``infogan-tool sort``: copy the images of a folder into folders by category."""

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from infogan_tool.cli import output
from infogan_tool.cli.options import BundleOption, DeviceOption, ProgressOption, ThreadsOption
from infogan_tool.runtime.errors import ImageError, OutputExistsError, UsageError, did_you_mean

if TYPE_CHECKING:
    from infogan_tool.cli.encode.collect import Collection
    from infogan_tool.runtime import Bundle, Posterior

_CODES: Final = "codes.csv"
_OOD: Final = "ood"
_MAX_BYTES: Final = 255
"""Longest file name of common file systems."""

Mode = Literal["copy", "symlink", "hardlink"]


def sort(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images, at any depth.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to create.")],
    bundle: BundleOption = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--code", "-c", metavar="CODE", help="Categorical code to sort by. Default: the one with names."
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write DIR; without it, only print what it would contain.")
    ] = False,
    mode: Annotated[Mode, typer.Option("--mode", help="Copy the files, or link to them.")] = "copy",
    separate_ood: Annotated[
        bool,
        typer.Option(
            "--separate-ood", help="Put images that are out of distribution into a folder of their own, ood."
        ),
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    progress: ProgressOption = None,
) -> None:
    """Copy the images of a folder into one folder for each category, with their codes.

    Without --apply nothing is written: the command prints how many images each
    folder would get. With it, DIR appears when it is complete, with codes.csv,
    which lists every image and its codes. Nothing is moved or overwritten, and
    DIR must not exist.

    Examples:
      infogan-tool sort scans --bundle bundle --out sorted

      infogan-tool sort scans --bundle bundle --out sorted --apply
    """
    _check(folder, out)
    from infogan_tool.cli.encode.collect import Collection
    from infogan_tool.runtime import load_bundle

    opened = load_bundle(bundle, device=device, threads=1)
    chosen = _choose_code(opened, code)
    if separate_ood and opened.metadata.ood is None:
        raise UsageError(f"--separate-ood: {opened.path} has no OOD score")
    folders = _folders(opened, chosen)
    images = Collection(opened, [str(folder)], threads=threads, progress=progress)
    if not apply:
        counts: Counter[str] = Counter()
        flagged = 0
        for encoded in images:
            counts.update(_targets(encoded.posterior, chosen, folders, separate_ood=separate_ood))
            flagged += _flagged(encoded.posterior)
        _print(counts)
        output.note(f"nothing was written: --apply writes {out}")
    else:
        counts, lost, flagged = _write(
            images, opened, out, chosen, folders, mode=mode, separate_ood=separate_ood
        )
        _print(counts)
        output.note(f"wrote {output.plural(counts.total(), 'image')} and {_CODES} to {out}")
        images.failed, images.done = images.failed + lost, images.done - lost
    if flagged and not separate_ood:
        verb, them = ("is", "it") if flagged == 1 else ("are", "them")
        output.note(
            f"{flagged:,} of {output.plural(counts.total(), 'image')} {verb} out of distribution (unlike the "
            f"training images); --separate-ood puts {them} into the folder {_OOD}"
        )
    exit_code = images.exit_code
    if exit_code:
        raise typer.Exit(exit_code)


def _check(folder: Path, out: Path) -> None:
    """Raise for folders that cannot be used, before any work is done."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if os.path.lexists(out):
        raise OutputExistsError(out, "sort writes a new folder; give another name")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--out {out} is inside of {folder}: write to a folder outside of it")


def _choose_code(bundle: "Bundle", code: str | None) -> int:
    """Return the index of the categorical code to sort by."""
    names = bundle.latent.categorical_names
    if not names:
        raise UsageError(f"{bundle.path} has no categorical code to sort by")
    if code is None:
        code = bundle.metadata.labelled_code or names[0]
    if code not in names:
        raise UsageError(f"--code {code}: there is no such categorical code{did_you_mean(code, names)}")
    return names.index(code)


def _folders(bundle: "Bundle", column: int) -> list[str]:
    """Return the folder of each category; merged categories have the same one."""
    from infogan_tool.runtime.bundle.names import folder_names

    code, size = bundle.latent.categorical_names[column], bundle.latent.categorical[column]
    labels = [bundle.metadata.label(code, index) for index in range(size)]
    names = [f"{code}-{index}" if label is None else label for index, label in enumerate(labels)]
    different = list(dict.fromkeys(names))
    made = folder_names([_OOD, _CODES, *different])[2:]  # those two come first, so no category gets them
    folder_of = dict(zip(different, made, strict=True))
    return [folder_of[name] for name in names]


def _targets(posterior: "Posterior", column: int, folders: list[str], *, separate_ood: bool) -> list[str]:
    """Return the folder of each image."""
    chosen = [folders[index] for index in posterior.categories[:, column].tolist()]
    if not separate_ood or posterior.ood is None:
        return chosen
    return [_OOD if flag else name for name, flag in zip(chosen, posterior.ood.tolist(), strict=True)]


def _flagged(posterior: "Posterior") -> int:
    """Return the number of images that are out of distribution."""
    return 0 if posterior.ood is None else int(posterior.ood.sum())


# --- writing -----------------------------------------------------------------------------------------------


def _write(
    images: "Collection",
    bundle: "Bundle",
    out: Path,
    column: int,
    folders: list[str],
    *,
    mode: Mode,
    separate_ood: bool,
) -> tuple[Counter[str], int, int]:
    """Write the folder; return how many images each of its folders has, and how many were lost or flagged."""
    from infogan_tool.export.atomic_folder import atomic_folder
    from infogan_tool.runtime.bulk.output.formats import csv_cell, make_format

    table = make_format("csv", bundle)
    counts: Counter[str] = Counter()
    names = _UniqueNames()
    lost = flagged = 0
    with (
        atomic_folder(out, force=False) as new,
        (new / _CODES).open("w", encoding="utf-8", newline="") as codes,
    ):
        codes.write("file," + table.header().decode())
        for encoded in images:
            targets = _targets(encoded.posterior, column, folders, separate_ood=separate_ood)
            flagged += _flagged(encoded.posterior)
            rows = table.rows(encoded.names, encoded.posterior).decode().splitlines(keepends=True)
            for source, target, row in zip(encoded.names, targets, rows, strict=True):
                if not counts[target]:
                    (new / target).mkdir()
                name = names.choose(target, os.path.basename(source))  # noqa: PTH119 - need not be Unicode
                try:
                    _place(source, new / target / name, mode)
                except ImageError as error:
                    output.error(error)
                    lost += 1
                    if not counts[target]:
                        (new / target).rmdir()
                    continue
                counts[target] += 1
                codes.write(f"{csv_cell(f'{target}/{name}')},{row}")
    return counts, lost, flagged


class _UniqueNames:
    """File names in each folder, different also without case."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, str]] = set()
        self._next: Counter[tuple[str, str]] = Counter()

    def choose(self, folder: str, name: str) -> str:
        """Return ``name``, with a number before its suffix if the folder has that name already."""
        first, chosen = (folder, name.casefold()), name
        while (folder, chosen.casefold()) in self._taken:
            self._next[first] += 1
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - need not be Unicode
            end = f" ({self._next[first] + 1}){suffix}"
            room = _MAX_BYTES - len(os.fsencode(end))
            chosen = os.fsdecode(os.fsencode(stem)[:room]) + end
        self._taken.add((folder, chosen.casefold()))
        return chosen


def _place(source: str, target: Path, mode: Mode) -> None:
    """Copy or link a file; ``target`` must not exist.

    Raises:
        ImageError: The file cannot be read any more.
        OSError: The copy cannot be written.
    """
    from infogan_tool.runtime.storage.atomic import open_regular, printable

    try:
        file = open_regular(source)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{printable(source)}: {printable(reason)}") from error
    with file:
        if mode == "symlink":
            target.symlink_to(os.path.abspath(source))  # noqa: PTH100 - a link in the path stays
        elif mode == "hardlink":
            os.link(os.path.realpath(source), target)
        else:
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy)


def _print(counts: Counter[str]) -> None:
    """Print the folders that have images, with their number."""
    shown = sorted(name for name in counts if counts[name])
    width = max(len(name) for name in [*shown, "folder"])
    output.emit(f"{'folder':<{width}}  images")
    for name in shown:
        output.emit(f"{name:<{width}}  {counts[name]:>6,}")
