"""``infogan-tool report``: one page that shows what runs and bundles became."""

from pathlib import Path
from typing import Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import DeviceOption, ForceOption, SampleSeedOption, SamplesOption
from infogan_tool.runtime.errors import UsageError

__all__ = ["report"]

_MAX_EPOCHS: Final = 24


def report(
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN|BUNDLE]...",
            help="Runs, which are exported first, and bundles; at most 6. Default: the bundle that ships.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.html", help="The page.")],
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            metavar="DIR",
            help="Also write each figure as PNG, and the training as GIF and WebP.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="Real images, as in train. Default: what each model was trained on.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            "--epochs",
            metavar="0,10,20",
            help="Epochs of the evolution. Default: about eight.",
            show_default=False,
        ),
    ] = None,
    samples: SamplesOption = 10_000,
    seed: SampleSeedOption = 0,
    device: DeviceOption = "auto",
    force: ForceOption = False,
) -> None:
    """Write one page about runs and bundles, side by side: curves, images, codes, measurements.

    The page is a single file that needs no network. What a run or bundle does not have is left
    out. The first report on a data set trains a classifier, in a minute or two.

    Examples:
      infogan-tool report run --out report.html

      infogan-tool report infogan gan cvae --out compare.html --figures figures
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: a page is a .html file")
    output.check_target(out, force=force)
    wanted = None if epochs is None else _epochs(epochs)
    require_extras("report", "train", "report")

    from rich.console import Console

    from infogan_tool.export.report.write import write_report
    from infogan_tool.runtime.storage.atomic import printable

    console = Console(stderr=True, highlight=False, markup=False)
    with console.status("starting") as status:
        entries = write_report(
            targets or [],
            out,
            figures=figures,
            data=data,
            samples=samples,
            seed=seed,
            epochs=wanted,
            device=device,
            force=force,
            progress=lambda line: status.update(printable(line)),
        )
    for entry in entries:
        for note in entry.notes:
            output.note(f"{entry.name}: {note}")
    output.note(f"wrote {out}" + (f" and {figures}" if figures else ""))


def _epochs(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not 0 < len(found) <= _MAX_EPOCHS or not all(0 <= epoch <= 1e9 for epoch in found):  # noqa: PLR2004
        raise UsageError(f"--epochs {text}: give 1 to {_MAX_EPOCHS} numbers from 0, such as 0,10,20")
    return found
