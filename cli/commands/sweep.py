"""``infogan-tool sweep``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from infogan_tool.export.sweep import Sweep

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
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of all runs and bundles.")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at a time. Default: one for each GPU, else each core."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, export and score several seeds, and show how they spread.

    A sweep that was stopped goes on where it was; seeds that are done are not done again.

    Example:
      infogan-tool sweep --seeds 0-4 --out sweep -- --preset mnist
    """
    require_extras("sweep", "train")

    from rich.console import Console

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
        Console(highlight=False).print(_table(result))


def _table(result: "Sweep") -> "Table":
    import statistics

    from rich.table import Table

    table = Table("seed", "accuracy", "L_I in nats", "minutes", title="sweep", title_justify="left")
    for score in result.scores:
        bounds = "  ".join(f"{name} {value:.2f}" for name, value in score.bounds.items() if "_" not in name)
        shown = "no labels" if score.accuracy is None else f"{score.accuracy:.4f}"
        table.add_row(str(score.seed), shown, bounds, f"{score.seconds / 60:.1f}")
    values = result.accuracies
    if values:
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "-"
        table.caption = (
            f"mean {statistics.fmean(values):.4f}, standard deviation {spread}, worst {min(values):.4f}"
        )
    return table
