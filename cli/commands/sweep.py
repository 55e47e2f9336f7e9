"""``infogan-tool sweep``: several seeds of a training."""

import json
from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import JsonOption


def sweep(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- TRAIN OPTIONS", help="Options of train, after --, for all seeds."),
    ] = None,
    *,
    seeds: Annotated[
        str, typer.Option(metavar="0-4", help="Seeds: a range such as 0-4, a list such as 0,2,5, or both.")
    ] = "0-4",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for all runs and bundles.")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Trainings at a time. Default: one per GPU, or else per core."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, export and evaluate several seeds, and print the spread.

    The same command continues a sweep that was stopped; finished seeds are kept.

    Example:
      infogan-tool sweep --seeds 0-4 --out sweep -- --preset mnist
    """
    require_extras("sweep", "train")

    from infogan_tool.cli.evaluation_tables import format_sweep
    from infogan_tool.export.sweep import parse_seeds, run_sweep, usable_gpus
    from infogan_tool.runtime.inference.device import default_threads

    numbers, cores, gpus = parse_seeds(seeds), default_threads(), usable_gpus(arguments or [])
    at_once = min(jobs or len(gpus) or cores, len(numbers))
    result = run_sweep(
        numbers,
        arguments or [],
        out,
        jobs=at_once,
        threads=max(cores // at_once, 1),
        report=output.note,
        gpus=gpus,
    )
    if as_json:
        output.emit(json.dumps(result.to_dict(), indent=2))
    else:
        output.emit(format_sweep(result))
