"""``infogan-tool encode``: images to codes. What it does is in :mod:`infogan_tool.cli.encode.run`."""

from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.cli.encode.run import EncodeOptions, Engine, OutFormat, encode_paths
from infogan_tool.cli.options import BundleOption, DeviceOption, ForceOption, JsonOption

__all__ = ["encode"]

_MANY = "Many images"
_INPUT = "What the network sees"


def encode(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Images, folders, patterns, .npy, .npz, IDX and Parquet files; - is standard input.",
            show_default=False,
        ),
    ],
    *,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write to FILE.jsonl, .csv or .parquet.", show_default=False
        ),
    ] = None,
    out_format: Annotated[
        OutFormat | None,
        typer.Option("--format", help="Format, whatever the ending of --out.", show_default=False),
    ] = None,
    force: ForceOption = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only pad and resize images.", rich_help_panel=_INPUT)
    ] = False,
    show_input: Annotated[
        Path | None,
        typer.Option(
            "--show-input",
            metavar="FILE",
            help="Write what the network saw: FILE.png (many: a sheet), or a folder.",
            show_default=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a stopped run of --out is.", rich_help_panel=_MANY)
    ] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            "--errors",
            metavar="FILE",
            help="Write what cannot be read as JSON lines too.",
            show_default=False,
            rich_help_panel=_MANY,
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Column of a Parquet file, or array of a .npz file. Default: found.",
            show_default=False,
            rich_help_panel=_MANY,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            max=1024,
            metavar="N",
            help="Cores to use. Default: all.",
            show_default=False,
            rich_help_panel=_MANY,
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="ray: on a Ray cluster.", rich_help_panel=_MANY)
    ] = "local",
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Default: on a terminal.",
            show_default=False,
            rich_help_panel=_MANY,
        ),
    ] = None,
) -> None:
    """Recover the category and style codes of images.

    Prints a table, or with --json one object a line, in the order of the inputs.
    An image that cannot be read is named on standard error; the others are done.

    Examples:
      infogan-tool encode digit.png

      infogan-tool encode scans/ --out codes.csv

      find scans -name '*.png' | infogan-tool encode - --out codes.parquet --resume
    """
    options = EncodeOptions(
        bundle=bundle,
        device=device,
        as_json=as_json,
        out=out,
        out_format=out_format,
        force=force,
        raw=raw,
        show_input=show_input,
        resume=resume,
        errors=errors,
        column=column,
        threads=threads,
        engine=engine,
        progress=progress,
    )
    code = encode_paths(paths, options)
    if code:
        raise typer.Exit(code)
