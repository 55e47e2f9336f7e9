"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.inference.device import Device

_BUNDLE_HELP: Final = "Folder made by export, or a pretrained bundle: mnist (default) or mnist-int8."

BundleArgument = Annotated[Path | None, typer.Argument(metavar="BUNDLE", help=_BUNDLE_HELP)]
"""The first argument of a command that works on one bundle."""

BundleOption = Annotated[Path | None, typer.Option("--bundle", "-b", metavar="BUNDLE", help=_BUNDLE_HELP)]
"""For a command whose arguments are images."""

HiddenBundleOption = Annotated[Path | None, typer.Option("--bundle", "-b", hidden=True)]
"""The spelling of 0.1.0 for :data:`BundleArgument`."""


def one_bundle(argument: Path | None, option: Path | None) -> Path | None:
    """Return the bundle that was given as an argument or as the hidden option.

    Raises:
        UsageError: It was given as both.
    """
    if argument is not None and option is not None:
        raise UsageError(f"there are two bundles: {argument} and --bundle {option}")
    return argument if option is None else option


DeviceOption = Annotated[
    Device,
    typer.Option(
        "--device",
        help="auto: a GPU (CUDA) if one works, else the CPU. cuda: an error if none works.",
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="Import a module of your own first, which the config may then name. Repeat for more modules.",
    ),
]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]

SampleSeedOption = Annotated[
    int,
    typer.Option(
        "--seed", min=0, metavar="N", help="Seed of what is sampled; a seed always gives the same images."
    ),
]

SamplesOption = Annotated[
    int,
    # With fewer, the distances to real images are not meaningful.
    typer.Option("--samples", min=100, metavar="N", help="Number of generated images."),
]

ImageScaleOption = Annotated[
    int | None,
    typer.Option(
        "--scale",
        min=1,
        max=64,
        metavar="N",
        help="Enlarge each pixel N times. Default: 2 on a sheet, 3 in an animation (traverse), "
        "1 in a folder (generate).",
    ),
]

MANY_IMAGES: Final = "Many images"
"""Panel of the help."""

ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=1024,
        metavar="N",
        help="CPU cores to use. Default: all.",
        rich_help_panel=MANY_IMAGES,
    ),
]

ProgressOption = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Report progress on standard error. Default: a bar on a terminal, else a line every 30 s.",
        rich_help_panel=MANY_IMAGES,
    ),
]

QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only errors and warnings on standard error.")
]

VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print the whole log on standard error.")
]


def import_modules(names: Sequence[str] | None) -> None:
    """Import the modules of :data:`ImportOption`.

    Raises:
        UsageError: One of them cannot be imported.
    """
    if names:
        from infogan_tool.train.engine.registry import import_module

        for name in names:
            import_module(name)
