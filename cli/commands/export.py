"""``infogan-tool export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras

if TYPE_CHECKING:
    from rich.table import Table

    from infogan_tool.export.quantization.reduce import PrecisionOutcome
    from infogan_tool.export.run_to_bundle import ExportOutcome

__all__ = ["export"]

_PREPROCESSING: Final = "Preprocessing, of a run"


def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="A run folder made by infogan-tool train, or a bundle to ship in another form.",
            metavar="RUN|BUNDLE",
        ),
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="The bundle's folder.", metavar="BUNDLE", show_default=False)
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            help="fp16: half the size. int8: a quarter, and faster on CPUs. Both with measured drift."
        ),
    ] = "fp32",
    triton: Annotated[
        Path | None,
        typer.Option(help="Write a model repository for Triton.", metavar="DIR", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Images to measure fp16 or int8 on. Default: what the model was trained on.",
            show_default=False,
        ),
    ] = None,
    preprocessing: Annotated[
        Literal["centred-foreground", "plain"] | None,
        typer.Option(
            help="How images from elsewhere become like those trained on. Default: by the data set.",
            rich_help_panel=_PREPROCESSING,
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        int | None,
        typer.Option(
            help="Longer side of the figures trained on.",
            metavar="PIXELS",
            rich_help_panel=_PREPROCESSING,
            show_default=False,
        ),
    ] = None,
    ink: Annotated[
        Literal["light", "dark"] | None,
        typer.Option(
            help="Whether they are lighter or darker than their ground.",
            rich_help_panel=_PREPROCESSING,
            show_default=False,
        ),
    ] = None,
    centre: Annotated[
        Literal["mass", "box"] | None,
        typer.Option(
            help="What of them lies in the middle. Default: the centre of mass.",
            rich_help_panel=_PREPROCESSING,
            show_default=False,
        ),
    ] = None,
    stroke: Annotated[
        float | None,
        typer.Option(
            help="Thicken strokes that are thinner. Default: do not.",
            metavar="PIXELS",
            rich_help_panel=_PREPROCESSING,
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
) -> None:
    """Export a run to an ONNX bundle, and prove that it computes the same.

    Nothing is written unless both graphs agree with torch to 1e-5 at five batch sizes;
    nor in fp16 or int8 if that costs more than 0.1 point of accuracy on real test images.

    Examples:
      infogan-tool export run --out bundle

      infogan-tool export bundle --precision int8 --out bundle-int8

      infogan-tool export bundle --triton models

      infogan-tool export run --out bundle --preprocessing centred-foreground --box 20 --ink light
    """
    require_extras("export", "train")

    from rich.console import Console

    from infogan_tool.export.outputs import export_outputs
    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.errors import UsageError
    from infogan_tool.runtime.storage.atomic import printable

    if preprocessing is None and (box, ink, centre, stroke) != (None, None, None, None):
        raise UsageError("--box, --ink, --centre and --stroke go with --preprocessing centred-foreground")
    options = preprocessing and PreprocessingOptions(
        preprocessing=preprocessing, box=box, ink=ink, centre=centre, stroke=stroke
    )

    console = Console(stderr=True, markup=False, highlight=False)
    with console.status("starting") as status:
        exported = export_outputs(
            source,
            out=out,
            triton=triton,
            precision=precision,
            data=data,
            preprocessing=options or None,
            force=force,
            progress=lambda line: status.update(printable(line)),
        )
    if exported.bundle:
        Console(highlight=False).print(_table(exported.bundle))
        if exported.bundle.label_note:
            output.note(f"note: {exported.bundle.label_note}")
        if exported.bundle.layout_note:
            output.note(f"note: {exported.bundle.layout_note}")
    if exported.reduced:
        Console(highlight=False).print(_drift_table(exported.reduced))
    for path in (out, exported.triton):
        if path:
            output.note(f"wrote {path}")


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
        table.add_row(
            graph,
            tensor,
            f"{value:.1e}",
            f"{parity['tolerances'].get(tensor, parity['tolerance']):.0e}",
            f"{size:,}",
        )
    accuracy = outcome.metadata.card.get("accuracy")
    if accuracy and "train" in accuracy:
        figures = [f"{accuracy['train']:.4f} of {accuracy['train_count']:,} training images"]
        if "test" in accuracy:
            figures.append(f"{accuracy['test']:.4f} of {accuracy['test_count']:,} test images")
        table.caption = f"category {accuracy['code']} is the label (matched one to one) for " + ", ".join(
            figures
        )
    return table


def _drift_table(outcome: PrecisionOutcome) -> Table:
    from rich.table import Table

    metadata = outcome.metadata
    drift, precision = metadata.drift, metadata.precision
    images = f"{drift['images']:,} {drift['split']} images"
    title = f"bundle {metadata.bundle_id[:12]}: {precision} against fp32"
    table = Table("what", "max", "mean", title=title, title_justify="left")
    for name in ("probabilities", "style_mean", "style_std", "distance", "generated"):
        if name in drift:
            shown = f"pixels, {drift[name]['images']:,} generated" if name == "generated" else name
            table.add_row(shown, f"{drift[name]['max']:.1e}", f"{drift[name]['mean']:.1e}")
    said = [f"measured on {images} of {drift['data']}"]
    said += [f"{code} agrees in {100 * share:.2f} %" for code, share in drift["agreement"].items()]
    said += [
        f"{name} {drift[name]['fp32']:.4f}, then {drift[name][precision]:.4f}"
        for name in ("accuracy", "in_distribution")
        if name in drift
    ]
    said += [
        f"{file} {outcome.bytes_before[file]:,} bytes, then {graph.bytes:,}"
        for file, graph in metadata.graphs.items()
    ]
    table.caption = "\n".join(said)
    table.caption_justify = "left"
    return table
