"""Options that several commands share, said once."""

from pathlib import Path
from typing import Annotated

import typer

from infogan_tool.runtime.inference.device import Device

__all__ = [
    "BundleOption",
    "DeviceOption",
    "ForceOption",
    "ImageScaleOption",
    "JsonOption",
    "SampleSeedOption",
    "SamplesOption",
]

BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        "-b",
        metavar="DIR",
        help="Folder made by export, or mnist-int8. Default: mnist, which ships.",
        show_default=False,
    ),
]

DeviceOption = Annotated[
    Device,
    typer.Option(
        "--device",
        help="cuda: CUDA or an error. auto: CUDA if a GPU is there and works, else the CPU.",
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]

SampleSeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, metavar="N", help="Image i of a seed is the same at any count."),
]

SamplesOption = Annotated[
    int,
    # With fewer, the distances to real images say nothing.
    typer.Option("--samples", min=100, metavar="N", help="Generated images."),
]

ImageScaleOption = Annotated[
    int | None,
    typer.Option(
        "--scale", min=1, max=64, metavar="N", help="Enlarge each pixel N times.", show_default=False
    ),
]
