"""``infogan-tool export``: a run to an ONNX bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import ForceOption, ImportOption, import_modules

if TYPE_CHECKING:
    from rich.table import Table

    from infogan_tool.export.quantization.reduce import PrecisionOutcome
    from infogan_tool.export.run_to_bundle import ExportOutcome

_PREPROCESSING: Final = "Preprocessing of a run's bundle"


def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="Run folder made by train, or a bundle to convert.",
            metavar="RUN|BUNDLE",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Bundle folder to create. Not needed with --triton.", metavar="BUNDLE"
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="fp16: half the size. int8: less than half the size, and faster on CPUs."),
    ] = "fp32",
    triton: Annotated[
        Path | None,
        typer.Option(help="Write a model repository for Triton Inference Server.", metavar="DIR"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Training images of a run, if they were moved; real images on which fp16 or int8 is "
            "compared with fp32. Default: the training data set.",
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            min=0,
            help="Put N real images into the bundle, chosen from all categories, for the page of explore.",
            metavar="N",
        ),
    ] = 0,
    preprocessing: Annotated[
        Literal["centred-foreground", "plain"] | None,
        typer.Option(
            help="How encode preprocesses images. Default: by the data set.", rich_help_panel=_PREPROCESSING
        ),
    ] = None,
    box: Annotated[
        int | None,
        typer.Option(
            help="Longer side of the foreground object in the training images.",
            metavar="PIXELS",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    ink: Annotated[
        Literal["light", "dark"] | None,
        typer.Option(
            help="Whether the object is lighter or darker than the background.",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    centre: Annotated[
        Literal["mass", "box"] | None,
        typer.Option(
            help="What is centred: centre of mass or bounding box. Default: mass.",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    stroke: Annotated[
        float | None,
        typer.Option(
            help="Thicken strokes that are thinner than this. Default: off.",
            metavar="PIXELS",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    imports: ImportOption = None,
    force: ForceOption = False,
) -> None:
    """Export a run to an ONNX bundle, and check it against torch.

    Nothing is written unless both graphs agree with torch: to 1e-5 (OOD score:
    1e-4), or to four times torch's own rounding error, up to 1e-4. fp16 and int8
    may cost at most 0.1 points of accuracy on test images.

    Examples:
      infogan-tool export run --out bundle

      infogan-tool export bundle --precision int8 --out bundle-int8

      infogan-tool export bundle --triton models

      infogan-tool export run --out bundle --preprocessing plain
    """
    require_extras("export", "train")

    from rich.console import Console

    from infogan_tool.cli.stderr_console import status_line
    from infogan_tool.export.outputs import export_outputs
    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.errors import UsageError

    if preprocessing is None and (box, ink, centre, stroke) != (None, None, None, None):
        raise UsageError("--box, --ink, --centre and --stroke need --preprocessing centred-foreground")
    options = None
    if preprocessing is not None:
        options = PreprocessingOptions(
            preprocessing=preprocessing, box=box, ink=ink, centre=centre, stroke=stroke
        )
    import_modules(imports)
    with status_line() as progress:
        exported = export_outputs(
            source,
            out=out,
            triton=triton,
            precision=precision,
            data=data,
            preprocessing=options,
            examples=examples,
            force=force,
            progress=progress,
        )
    if exported.bundle:
        Console(highlight=False).print(_parity_table(exported.bundle))
    if exported.reduced:
        Console(highlight=False).print(_drift_table(exported.reduced))
    for note in exported.notes:
        output.note(f"note: {note}")
    for path in (out, exported.triton):
        if path:
            output.note(f"wrote {path}")


def _parity_table(outcome: ExportOutcome) -> Table:
    from rich.table import Table

    metadata, parity = outcome.metadata, outcome.metadata.parity
    table = Table("graph", "output", title=f"bundle {metadata.bundle_id[:12]}", title_justify="left")
    for heading in ("max |torch - onnx|", "allowed", "bytes"):
        table.add_column(heading, justify="right")
    for key, value in parity["max_abs_difference"].items():
        graph, tensor = key.split(":")
        allowed = parity["tolerances"].get(tensor, parity["tolerance"])
        table.add_row(graph, tensor, f"{value:.1e}", f"{allowed:.1e}", f"{metadata.graphs[graph].bytes:,}")
    accuracy = metadata.card.get("accuracy")
    if accuracy:
        shares = [
            f"{accuracy[split]:.4f} on {accuracy[f'{split}_count']:,} {name} images"
            for split, name in (("train", "training"), ("test", "test"))
            if split in accuracy
        ]
        table.caption = f"accuracy of {accuracy['code']} (categories matched to labels): {', '.join(shares)}"
    return table


def _drift_table(outcome: PrecisionOutcome) -> Table:
    from rich.table import Table

    metadata = outcome.metadata
    drift, precision = metadata.drift, metadata.precision
    title = f"bundle {metadata.bundle_id[:12]}: difference of {precision} from fp32"
    table = Table("output", "max", "mean", title=title, title_justify="left", caption_justify="left")
    for name in ("probabilities", "style_mean", "style_std", "distance", "generated"):
        if name in drift:
            shown = f"pixels of {drift[name]['images']:,} generated images" if name == "generated" else name
            table.add_row(shown, f"{drift[name]['max']:.1e}", f"{drift[name]['mean']:.1e}")
    lines = [f"measured on {drift['images']:,} {drift['split']} images of {drift['data']}"]
    lines += [f"{code}: {100 * share:.2f} % equal categories" for code, share in drift["agreement"].items()]
    lines += [
        f"{shown}: {drift[name]['fp32']:.4f} in fp32, {drift[name][precision]:.4f} in {precision}"
        for name, shown in (("accuracy", "accuracy"), ("in_distribution", "share in distribution"))
        if name in drift
    ]
    lines += [
        f"{file}: {outcome.bytes_before[file]:,} bytes in fp32, {graph.bytes:,} in {precision}"
        for file, graph in metadata.graphs.items()
    ]
    table.caption = "\n".join(lines)
    return table
