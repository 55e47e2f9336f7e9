"""``infogan-tool traverse``: images along one code, as a sheet or an animation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.animation import ANIMATION_STEPS, check_animation, write_animation
from infogan_tool.cli.options import (
    BundleArgument,
    DeviceOption,
    ForceOption,
    HiddenBundleOption,
    ImageScaleOption,
    SampleSeedOption,
    one_bundle,
)
from infogan_tool.cli.sheets import check_sheet, write_sheet, write_traversal
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from infogan_tool.runtime import BundleMetadata, Traversal

_STEPS: Final = 9
"""From -2 to 2: 0 and both ends of the trained range are among them."""


def traverse(
    bundle: BundleArgument = None,
    *,
    code: Annotated[
        str,
        typer.Option(
            "--code", "-c", metavar="CODE", help="The code to vary: c1, k1, ..., or the name of a style."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.png", help="Sheet to write."),
    ] = None,
    animate: Annotated[
        Path | None,
        typer.Option("--animate", metavar="FILE", help="Animation to write: .gif or .webp."),
    ] = None,
    low: Annotated[
        float | None,
        typer.Option(
            "--from",
            metavar="VALUE",
            help="First value of a continuous code. Default: -2; -1 of a periodic code.",
        ),
    ] = None,
    high: Annotated[
        float | None,
        typer.Option(
            "--to",
            metavar="VALUE",
            help="Last value of a continuous code. Default: 2; 1 of a periodic code.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            max=1000,
            metavar="N",
            help=f"Values of a continuous code. Default: {_STEPS}; {ANIMATION_STEPS} for an animation.",
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="A sheet of images only, without labels and values.")
    ] = False,
    seed: SampleSeedOption = 0,
    bundle_option: HiddenBundleOption = None,
    device: DeviceOption = "auto",
    scale: ImageScaleOption = None,
    force: ForceOption = False,
) -> None:
    """Vary one code and keep the others fixed, as a sheet or an animation.

    A continuous code (c1, c2, ...): one row per category, with the same noise.
    A categorical code (k1, ...): one column per category, one row per noise.
    In training, continuous codes are from -1 to 1, which a bar marks on the sheet.

    Examples:
      infogan-tool traverse --code c1 --out c1.png

      infogan-tool traverse --code c1 --animate c1.gif
    """
    _check_targets(out, animate, steps, force=force)
    from infogan_tool.runtime import load_bundle
    from infogan_tool.runtime.bundle.reading import find_code
    from infogan_tool.runtime.latents.sampling import traversal_shape

    opened = load_bundle(one_bundle(bundle, bundle_option), device=device)
    code = find_code(opened.metadata, code)
    if code in opened.latent.categorical_names and (low, high, steps) != (None, None, None):
        raise UsageError(f"--from, --to and --steps are for continuous codes; {code} shows all categories")

    def traversal(default_steps: int) -> "Traversal":
        return opened.traverse(
            code,
            seed=seed,
            low=low,
            high=high,
            steps=steps or default_steps,
        )

    if out is not None:
        rows, columns, _ = traversal_shape(opened.latent, code, steps=steps or _STEPS)
        check_sheet(opened, rows * columns, scale)
    sheet = traversal(_STEPS) if out is not None else None
    if animate is not None:
        frames = write_animation(opened, traversal(ANIMATION_STEPS), animate, scale)
        output.note(f"wrote {animate}: {frames}")
    if sheet is not None and out is not None:
        if plain:
            write_sheet(opened, sheet.latents, sheet.columns, out, scale)
        else:
            write_traversal(opened, sheet, out, scale)
        output.note(f"wrote {out}: {_describe(sheet, opened.metadata)}")
    if opened.fallback:
        output.note(opened.fallback)


def _check_targets(out: Path | None, animate: Path | None, steps: int | None, *, force: bool) -> None:
    if out is None and animate is None:
        raise UsageError("nothing to write: give --out FILE.png for a sheet, or --animate FILE.gif")
    if out is not None:
        if out.suffix.lower() != ".png":
            raise UsageError(f"--out {out}: give a name ending in .png")
        output.check_target(out, force=force)
    if animate is not None:
        check_animation(animate, steps, force=force)


def _describe(plan: "Traversal", metadata: "BundleMetadata") -> str:
    def categories(code: str, count: int) -> str:
        return ", ".join(metadata.shown_label(code, index) for index in range(count))

    if plan.code in metadata.latent.categorical_names:
        columns = f"columns are {plan.code} = {categories(plan.code, plan.columns)}"
    else:
        columns = f"columns are {plan.code} from {plan.values[0]:g} to {plan.values[-1]:g}"
    if plan.row_code:
        return f"{columns}; rows are {plan.row_code} = {categories(plan.row_code, plan.rows)}"
    return f"{columns}; {output.plural(plan.rows, 'row')} of different noise" if plan.rows > 1 else columns
