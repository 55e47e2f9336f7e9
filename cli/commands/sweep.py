"""``infogan-tool sweep``: train, export and score several seeds."""

import json
from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import JsonOption

__all__ = ["sweep"]


def sweep(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- TRAIN OPTIONS]", help="Options of train, after --, for every seed."),
    ] = None,
    *,
    seeds: Annotated[
        str, typer.Option(metavar="0-4", help="Seeds: a range, a list as 0,2,5, or both.")
    ] = "0-4",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for all runs and bundles.")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Simultaneous trainings. Default: one for each GPU, else for each core."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, export and score several seeds, and show the spread of their accuracies.

    An interrupted sweep is resumed; seeds that are complete are not done again.

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
