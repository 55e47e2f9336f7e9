"""``infogan-tool report``: one HTML page about runs and bundles."""

from pathlib import Path
from typing import Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import (
    DeviceOption,
    ForceOption,
    ImportOption,
    SampleSeedOption,
    SamplesOption,
    import_modules,
)
from infogan_tool.runtime.errors import UsageError

_MAX_EPOCHS: Final = 24


def report(
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|BUNDLE",
            help="Up to 6 runs and bundles; runs are exported first. Default: the pretrained MNIST bundle.",
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.html", help="The page to write.")],
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            metavar="DIR",
            help="Also write each figure as PNG, and the samples over training as GIF and WebP.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER", help="Real images, as in train. Default: each model's training data set."
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option("--epochs", metavar="0,10,20", help="Epochs to show samples of. Default: at most nine."),
    ] = None,
    samples: SamplesOption = 10_000,
    seed: SampleSeedOption = 0,
    device: DeviceOption = "auto",
    imports: ImportOption = None,
    force: ForceOption = False,
) -> None:
    """Write an HTML page that compares runs and bundles: curves, images, metrics.

    The page is one file and needs no network. The first report on a data set
    trains a classifier, which takes a minute or two.

    Examples:
      infogan-tool report run --out report.html

      infogan-tool report infogan gan cvae --out compare.html --figures figures
    """
    output.check_page(out, force=force)
    shown_epochs = None if epochs is None else _parse_epochs(epochs)
    require_extras("report", "train", "report")

    import_modules(imports)

    from infogan_tool.cli.stderr_console import status_line
    from infogan_tool.export.report.write import write_report

    with status_line() as progress:
        entries = write_report(
            targets or [],
            out,
            figures=figures,
            data=data,
            samples=samples,
            seed=seed,
            epochs=shown_epochs,
            device=device,
            force=force,
            progress=progress,
        )
    for entry in entries:
        for note in entry.notes:
            output.note(f"{entry.name}: {note}")
    output.note(f"wrote {out}" + (f" and {figures}" if figures else ""))


def _parse_epochs(text: str) -> list[float]:
    try:
        epochs = [float(part) for part in text.split(",")]
    except ValueError:
        epochs = []
    if not 0 < len(epochs) <= _MAX_EPOCHS or not all(0 <= epoch <= 1e9 for epoch in epochs):  # noqa: PLR2004
        raise UsageError(f"--epochs {text}: give 1 to {_MAX_EPOCHS} numbers from 0, such as 0,10,20")
    return epochs
