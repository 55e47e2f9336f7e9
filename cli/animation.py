"""Animations of ``traverse --animate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.cli import output
from infogan_tool.runtime.errors import UsageError
from infogan_tool.runtime.images.formats import ANIMATION_SUFFIXES

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle, Traversal

ANIMATION_STEPS: Final = 41
"""Default number of values of a continuous code: steps of 0.1 from -2 to 2."""
_SCALE: Final = 3
_COLUMNS: Final = 5
_VALUE_MS: Final = 40
_CATEGORY_MS: Final = 700
_MAX_STEPS: Final = 400


def check_animation(path: Path, steps: int | None, *, force: bool) -> None:
    """Check the options of an animation before any work is done.

    Raises:
        UsageError: The file has another suffix, its folder does not exist, or there are too many steps.
        OutputExistsError: The file exists and ``force`` is not set.
    """
    if path.suffix.lower() not in ANIMATION_SUFFIXES:
        raise UsageError(f"--animate {path}: give a name ending in {' or '.join(ANIMATION_SUFFIXES)}")
    if steps is not None and steps > _MAX_STEPS:
        raise UsageError(f"--steps {steps}: an animation has at most {_MAX_STEPS} steps")
    output.check_target(path, force=force, option="--animate")


def write_animation(bundle: "Bundle", traversal: "Traversal", path: Path, scale: int | None) -> str:
    """Write an animation with a frame for each column of a traversal; return the number of frames as text.

    A continuous code goes from one end to the other and back, so that the animation loops.

    Raises:
        UsageError: The animation would have too many pixels.
    """
    from infogan_tool.runtime import sheet, to_uint8
    from infogan_tool.runtime.images.animation import MAX_TOTAL_PIXELS, captioned, save_animation

    enlarge = scale or _SCALE
    if 2 * len(traversal.latents) * (bundle.image.size * enlarge) ** 2 > MAX_TOTAL_PIXELS:
        raise UsageError(
            f"{traversal.rows} images in {traversal.columns} steps at --scale {enlarge} are too many pixels "
            "for an animation: lower --scale or --steps"
        )
    images = to_uint8(bundle.generate(traversal.latents), bundle.image)
    images = images.reshape(traversal.rows, traversal.columns, *images.shape[1:])
    continuous = traversal.code in bundle.latent.continuous_names
    frames = []
    for column, value in enumerate(traversal.values):
        shown = f"{value:+.2f}" if continuous else bundle.metadata.shown_label(traversal.code, int(value))
        frame = sheet(images[:, column], min(_COLUMNS, traversal.rows), scale=enlarge)
        frames.append(captioned(frame, f"{traversal.code} = {shown}", column / max(traversal.columns - 1, 1)))
    if continuous:
        frames += frames[-2:0:-1]
    save_animation(path, frames, _VALUE_MS if continuous else _CATEGORY_MS)
    return output.plural(len(frames), "frame")
