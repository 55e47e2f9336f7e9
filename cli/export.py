"""``infogan-tool export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infogan_tool.cli.extras import require_train_extra

if TYPE_CHECKING:
    from rich.table import Table

    from infogan_tool.export.bundle import ExportOutcome

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(help="A run folder made by infogan-tool train.", metavar="RUN")],
    *,
    out: Annotated[Path, typer.Option(help="The bundle's folder.", metavar="BUNDLE")],
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is already there.")] = False,
) -> None:
    """Export a run to an ONNX bundle, and prove that it computes the same.

    Nothing is written unless both graphs agree with torch to 1e-5 at five batch sizes.

    Example:
      infogan-tool export run --out bundle
    """
    require_train_extra("export")

    from rich.console import Console

    from infogan_tool.export.bundle import export_run

    console = Console(stderr=True)
    with console.status("exporting and comparing with torch"):
        outcome = export_run(run, out, force=force)
    Console(highlight=False).print(_table(outcome))
    if outcome.label_note:
        console.print(f"note: {outcome.label_note}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {outcome.path}", markup=False, highlight=False, soft_wrap=True)


def _table(outcome: ExportOutcome) -> Table:
    from rich.table import Table

    parity = outcome.metadata.parity
    table = Table(title=f"bundle {outcome.metadata.bundle_id[:12]}", title_justify="left")
    for heading in ("graph", "output", "max |torch - onnx|", "allowed", "bytes"):
        table.add_column(
            heading, justify="right" if heading in ("max |torch - onnx|", "allowed", "bytes") else "left"
        )
    for key, value in parity["max_abs_difference"].items():
        graph, tensor = key.split(":")
        size = outcome.metadata.graphs[graph].bytes
        table.add_row(graph, tensor, f"{value:.1e}", f"{parity['tolerance']:.0e}", f"{size:,}")
    accuracy = outcome.metadata.card.get("accuracy")
    if accuracy:
        figures = [f"{accuracy['train']:.4f} of {accuracy['train_count']:,} training pictures"]
        if "test" in accuracy:
            figures.append(f"{accuracy['test']:.4f} of {accuracy['test_count']:,} test pictures")
        table.caption = f"category {accuracy['code']} is the label (matched one to one) for " + ", ".join(
            figures
        )
    return table
