"""``infogan-tool encode``: images to codes."""

from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.cli.encode.options import EncodeOptions, Engine
from infogan_tool.cli.options import (
    MANY_IMAGES,
    BundleOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    ProgressOption,
    ThreadsOption,
)
from infogan_tool.runtime.bulk.output.formats import FormatName

_INPUT = "Input of the network"


def encode(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Images, folders, quoted patterns, .npy, .npz, IDX or Parquet files; - is standard input.",
        ),
    ],
    *,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write to FILE.jsonl, .csv or .parquet."),
    ] = None,
    out_format: Annotated[
        FormatName | None,
        typer.Option("--format", help="Output format. Default: by the suffix of --out."),
    ] = None,
    force: ForceOption = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Do not look for the object in an image: only pad and resize.",
            rich_help_panel=_INPUT,
        ),
    ] = False,
    show_input: Annotated[
        Path | None,
        typer.Option(
            "--show-input",
            metavar="PATH",
            help="Write the preprocessed images: FILE.png is a sheet of them, any other name a folder.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue an interrupted run with the same inputs and --out.",
            rich_help_panel=MANY_IMAGES,
        ),
    ] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            "--errors",
            metavar="FILE",
            help="Write the inputs that cannot be read to FILE, as JSON lines.",
            rich_help_panel=MANY_IMAGES,
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Column of a Parquet file, or array of a .npz file. Default: detected.",
            rich_help_panel=MANY_IMAGES,
        ),
    ] = None,
    threads: ThreadsOption = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="ray: encode on a Ray cluster.", rich_help_panel=MANY_IMAGES)
    ] = "local",
    progress: ProgressOption = None,
) -> None:
    """Encode images: print their category and style codes.

    Prints a table, or with --json one JSON object per line, in input order.
    Images that cannot be read are reported on standard error and skipped; the
    exit code is then 3.

    Examples:
      infogan-tool encode digit.png

      infogan-tool encode scans/ --out codes.csv

      find scans -name '*.png' | infogan-tool encode - --out codes.csv
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
    from infogan_tool.cli.encode.run import encode_paths

    code = encode_paths(paths, options)
    if code:
        raise typer.Exit(code)
