"""A traversal as an animation, as ``traverse --animate`` writes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.cli import output
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.formats import ANIMATION_SUFFIXES

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, Traversal

__all__ = ["ANIMATION_STEPS", "check_animation", "write_animation"]

ANIMATION_STEPS: Final = 41
"""Values of a continuous code unless told otherwise: steps of 0.1 from -2 to 2."""
_SCALE: Final = 3
_COLUMNS: Final = 5
_VALUE_MS: Final = 40
_CATEGORY_MS: Final = 700
_MAX_STEPS: Final = 400


def check_animation(path: Path, steps: int | None, *, force: bool) -> None:
    """Refuse an animation before any work is done for it.

    Raises:
        UsageError: It has another ending, its folder is not there, or there are too many steps.
        OutputExistsError: The file exists and ``force`` is not set.
    """
    if path.suffix.lower() not in ANIMATION_SUFFIXES:
        raise UsageError(f"--animate {path}: an animation is a {' or '.join(ANIMATION_SUFFIXES)} file")
    if steps is not None and steps > _MAX_STEPS:
        raise UsageError(f"--steps {steps}: an animation has at most {_MAX_STEPS} steps")
    output.check_target(path, force=force, option="--animate")


def write_animation(bundle: "Bundle", plan: "Traversal", path: Path, scale: int | None) -> str:
    """Draw a frame for each column of ``plan`` and write them; return what the animation shows.

    A continuous code goes from end to end and back, so that the animation has no seam.

    Raises:
        UsageError: It would have too many pixels.
    """
    from infogan_tool.runtime import sheet, to_uint8
    from infogan_tool.runtime.images.animation import MAX_TOTAL_PIXELS, captioned, save_animation

    enlarge = scale or _SCALE
    if 2 * len(plan.latents) * (bundle.image.size * enlarge) ** 2 > MAX_TOTAL_PIXELS:
        raise UsageError(
            f"{plan.rows} images in {plan.columns} steps at --scale {enlarge} are too many pixels for an "
            "animation: lower --scale or --steps"
        )
    images = to_uint8(bundle.generate(plan.latents), bundle.image)
    images = images.reshape(plan.rows, plan.columns, *images.shape[1:])
    continuous = plan.code in bundle.latent.continuous_names
    frames = []
    for column, value in enumerate(plan.values):
        shown = (
            f"{value:+.2f}" if continuous else bundle.metadata.label(plan.code, int(value)) or f"#{value:g}"
        )
        drawn = sheet(images[:, column], min(_COLUMNS, plan.rows), scale=enlarge)
        frames.append(captioned(drawn, f"{plan.code} = {shown}", column / max(plan.columns - 1, 1)))
    if continuous:
        frames += frames[-2:0:-1]
    save_animation(path, frames, _VALUE_MS if continuous else _CATEGORY_MS)
    return output.plural(len(frames), "frame")
