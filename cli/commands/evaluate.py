"""``infogan-tool evaluate``: measure a bundle on real and generated images."""

import json
from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import (
    DeviceOption,
    ImportOption,
    JsonOption,
    SampleSeedOption,
    SamplesOption,
    import_modules,
)


def evaluate(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN|BUNDLE",
            help="Bundle, or run, which is exported first. Default: the pretrained MNIST bundle.",
        ),
    ] = None,
    *,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME|FOLDER", help="Real images, as in train. Default: the training data set."),
    ] = None,
    samples: SamplesOption = 10_000,
    seed: SampleSeedOption = 0,
    device: DeviceOption = "auto",
    imports: ImportOption = None,
    save: Annotated[
        bool,
        typer.Option("--save", help="Save the results in the bundle's card, which info and explore show."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a bundle: accuracy, calibration, information, image quality.

    All metrics are computed with the exported graphs. Those that need labels are
    left out where the data set has none. The first evaluation on a data set
    trains a classifier, which takes a minute or two.

    Examples:
      infogan-tool evaluate bundle

      infogan-tool evaluate run --json > results.json
    """
    require_extras("evaluate", "train")

    import_modules(imports)

    from infogan_tool.cli.stderr_console import status_line
    from infogan_tool.export.evaluate import evaluate as evaluate_target
    from infogan_tool.export.save_results import check_savable, save_results

    if save:
        check_savable(target)
    with status_line() as progress:
        results = evaluate_target(
            target,
            data=data,
            samples=samples,
            seed=seed,
            device=device,
            progress=progress,
        )
    if as_json:
        output.emit(json.dumps(results.to_dict(), indent=2, allow_nan=False))
    else:
        from infogan_tool.cli.evaluation_tables import format_results

        output.emit(format_results(results))
    if save and target is not None:  # last: if it cannot be written, the results have been printed
        save_results(results, target)
