"""``infogan-tool name``: names for the categories and styles of a bundle."""

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.options import ForceOption
from infogan_tool.runtime.errors import DataError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    import numpy.typing as npt

    from infogan_tool.runtime import Bundle, BundleMetadata
    from infogan_tool.runtime.bundle.names import Names

_PAGE: Final = "contact-sheets.html"
_NAMES: Final = "names.toml"
_SHEETS: Final = {"mark": _PAGE, "kind": "a folder of contact sheets"}
"""What :mod:`infogan_tool.export.atomic_folder` may replace."""
_MAX_BYTES: Final = 1_000_000
_MAX_REAL: Final = 10_000
"""Real images that the nearest and farthest are chosen from; of more, so many at random."""
_REMOVE: Final = "-"
"""Answer at the prompt that removes a name."""


def name(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder made by export.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help=f"Write contact sheets ({_PAGE}) and the current names ({_NAMES}).",
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option("--names", metavar="FILE.toml", help="Give the names in this file.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Real images for the contact sheets, as in train. Default: a built-in training data set.",
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Name the categories and styles of a bundle: at a prompt, or in a TOML file.

    On a terminal, asks for each name, unless --out is given. Elsewhere, prints
    the current names as a TOML file; edit it, and give it with --names. The
    names are stored in the bundle's metadata; encode, generate, explore and
    reports use them. Graphs and bundle id do not change. Categories with the
    same name are merged.

    Examples:
      infogan-tool name bundle --out sheets --data scans

      infogan-tool name bundle --names sheets/names.toml
    """
    if data is not None and out is None:
        raise UsageError("--data goes with --out: it is for the contact sheets")
    from infogan_tool.export.atomic_folder import refuse_taken
    from infogan_tool.export.save_names import check_nameable
    from infogan_tool.runtime import load_bundle
    from infogan_tool.runtime.bundle.bundle import find_bundle

    asks = names is None and out is None and _is_terminal()
    folder = find_bundle(bundle)
    if names is not None or asks:
        check_nameable(folder)
    if out is not None:
        refuse_taken(out, force=force, **_SHEETS)
    opened = load_bundle(folder)
    given = None
    if names is not None:
        given = _read(names, opened.metadata)
    elif asks:
        given = _ask(opened.metadata)
    if given is not None:
        _save(opened, given)
        opened = load_bundle(folder)  # with the new names
    if out is not None:
        _write_sheets(opened, out, data, force=force)
        if given is None:
            output.note(f"edit {out / _NAMES}, then: infogan-tool name {bundle} --names {out / _NAMES}")
    elif given is None:
        output.emit(_to_toml(opened.metadata).removesuffix("\n"))


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _read(path: Path, metadata: "BundleMetadata") -> "Names":
    from infogan_tool.runtime.bundle.names import parse_names
    from infogan_tool.runtime.storage.atomic import read_limited

    try:
        table = tomllib.loads(read_limited(path, _MAX_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also not UTF-8, and not TOML
        raise UsageError(f"--names {path}: {error}") from error
    try:
        return parse_names(table, metadata.latent, metadata)
    except UsageError as error:
        raise UsageError(f"--names {path}: {error}") from error


def _to_toml(metadata: "BundleMetadata") -> str:
    from infogan_tool.export.contact_sheets import style_remarks
    from infogan_tool.runtime.bundle.names import to_toml

    return to_toml(metadata, style_remarks(metadata))


# --- contact sheets ----------------------------------------------------------------------------------------


def _write_sheets(bundle: "Bundle", out: Path, data: str | None, *, force: bool) -> None:
    from infogan_tool.export.atomic_folder import atomic_folder
    from infogan_tool.export.contact_sheets import make_contact_sheets

    page = make_contact_sheets(bundle, _real_images(bundle, data))
    with atomic_folder(out, force=force, **_SHEETS) as new:
        (new / _PAGE).write_text(page, encoding="utf-8")
        (new / _NAMES).write_text(_to_toml(bundle.metadata), encoding="utf-8")
    output.note(f"wrote {out / _PAGE} and {out / _NAMES}")


def _real_images(bundle: "Bundle", data: str | None) -> "npt.NDArray[np.uint8] | None":
    """Return real images; None, with a note, where none are given and the training data are not at hand."""
    from infogan_tool.cli.extras import require_extras
    from infogan_tool.runtime.bundle.metadata import data_name

    source = data or data_name(bundle.metadata.training)
    try:
        require_extras("name --data", "train")
        import numpy as np

        from infogan_tool.export.evaluation.real_images import load_real_images, random_subset, to_nhwc
        from infogan_tool.train.data import BUILTIN_NAMES

        if source is None or (data is None and source not in BUILTIN_NAMES):
            output.note("the contact sheets show generated images only: --data adds real ones")
            return None
        train = load_real_images(source, bundle.image, download=data is not None).train
    except (DataError, MissingExtraError) as error:
        if data is not None:
            raise
        output.note(f"the contact sheets show generated images only: {error}")
        return None
    return random_subset(to_nhwc(train), _MAX_REAL, np.random.default_rng(0))


# --- names -------------------------------------------------------------------------------------------------


def _ask(metadata: "BundleMetadata") -> "Names":
    """Ask for the name of each category and style."""
    from infogan_tool.export.contact_sheets import style_remarks
    from infogan_tool.runtime.bundle.names import Names

    output.note(f"Enter keeps a name, {_REMOVE} removes it, Ctrl-C ends without a change.")
    categories: dict[str, dict[int, str | None]] = {}
    for code, size in zip(metadata.latent.categorical_names, metadata.latent.categorical, strict=True):
        categories[code] = {
            index: _ask_name(f"{code} #{index}", metadata.label(code, index)) for index in range(size)
        }
    remarks = style_remarks(metadata)
    styles: dict[str, str | None] = {}
    for code in metadata.latent.continuous_names:
        if code in remarks:
            output.note(f"{code}: {remarks[code]}")
        current = metadata.style_names.get(code)
        # Export may have given two styles the same name, which both may keep.
        taken = [
            given
            for other, given in styles.items()
            if given and not given == current == metadata.style_names.get(other)
        ]
        styles[code] = _ask_name(code, current, taken)
    return Names(categories, styles)


def _ask_name(what: str, current: str | None, taken: "Collection[str]" = ()) -> str | None:
    from infogan_tool.runtime.bundle.names import clean_name

    while True:
        answer = typer.prompt(what, default=current or "", show_default=bool(current))
        try:
            name = None if answer == _REMOVE else clean_name(answer, what, current)
        except UsageError as error:
            output.error(error)
            continue
        if name not in taken:
            return name
        output.error(UsageError(f"another style is named '{name}'"))


def _save(bundle: "Bundle", names: "Names") -> None:
    from infogan_tool.export.save_names import save_names

    metadata = save_names(bundle.path, names, bundle_id=bundle.metadata.bundle_id)
    for code in metadata.latent.categorical_names:
        for label, indices in metadata.merged(code).items():
            listed = ", ".join(f"#{index}" for index in indices)
            output.note(f"{code}: {listed} are merged as {label}; its probability is the sum of theirs")
    labels = [label for given in metadata.labels.values() for label in given]
    count = sum(name is not None for name in [*labels, *metadata.style_names.values()])
    output.note(f"wrote {output.plural(count, 'name')} to {bundle.path}")
