"""A run's sample sheets: the same latents drawn again and again while G learns.

The sheets are PNG files that :mod:`infogan_tool.train.infogan.sample_sheet` writes: G's images on the left
in the layout
of :func:`infogan_tool.runtime.images.arrays.sheet`, real ones beside them. Single images are cut out by that
layout, so that no network has to be brought back.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, features

from infogan_tool.export.report.subsample import evenly
from infogan_tool.runtime.images.animation import animate, captioned
from infogan_tool.runtime.latents.sampling import traversal
from infogan_tool.runtime.storage.atomic import read_limited

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.export.report.metrics_log import StageHistory
    from infogan_tool.runtime.latents.spec import LatentSpec

__all__ = [
    "MAX_SHEETS",
    "Layout",
    "SampleSheets",
    "Sheet",
    "read_sheets",
    "select_epochs",
    "sheet_layout",
    "to_animation",
]

MAX_SHEETS: Final = 100
"""Sheets that are read; of more, so many are chosen evenly, the first and the last among them."""
MAX_ANIMATION_BYTES: Final = 4_000_000
"""An animation that is larger loses every other sheet until it is not."""

_NAME: Final = re.compile(r"step-(\d{1,15})\.png")
_MAX_FILE: Final = 1 << 25
_MAX_PIXELS: Final = 4_000_000
_MAX_LISTED: Final = 100_000
_GAP: Final = 2
"""White pixels between the images of a sheet."""
_MOST_CELLS: Final = 10
_STEPS: Final = (1, 2, 5)
_MOST_EPOCHS: Final = 9
_LEAST_WIDTH: Final = 400
_DURATION_MS: Final = 8000
_SHORTEST_MS, _LONGEST_MS, _LAST_MS = 80, 600, 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where images are on the left part of a sheet."""

    rows: int
    """Rows of images."""
    columns: int
    """Images in a row."""
    size: int
    """Side of an image, pixels."""
    cells: tuple[tuple[int, int], ...]
    """Row and column of the images that stand for the sheet: at most ten."""
    shown: str
    """What these are."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sheet:
    """One sheet."""

    step: int
    """Steps of the whole run before it was drawn."""
    epoch: float | None
    """The same in passes over the images, within the stage that draws; None where that is not known."""
    pixels: NDArray[np.uint8]
    """``(H, W, C)``."""

    @property
    def when(self) -> str:
        """The caption."""
        return f"step {self.step:,}" if self.epoch is None else f"epoch {round(self.epoch, 1):g}"

    def cut(self, layout: Layout) -> NDArray[np.uint8]:
        """Return the images of ``layout.cells``: ``(N, S, S, C)``."""
        size, stride = layout.size, layout.size + _GAP
        corners = [(_GAP + row * stride, _GAP + column * stride) for row, column in layout.cells]
        return np.stack([self.pixels[top : top + size, left : left + size] for top, left in corners])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleSheets:
    """The sheets of a run, in order and of one size."""

    sheets: tuple[Sheet, ...]
    """At least one."""
    layout: Layout | None
    """Where the images are; None where the sheets are laid out otherwise than this version writes them."""
    unread: int
    """Files that are no sheets of this run."""


def sheet_layout(spec: LatentSpec, size: int) -> Layout:
    """Return the layout of the sheets of a run with this latent spec and image size."""
    plan = traversal(spec, (spec.continuous_names or spec.categorical_names)[0])
    rows, columns = plan.rows, plan.columns
    if plan.code in spec.categorical_names:
        cells, shown = [(0, column) for column in range(columns)], f"the categories of {plan.code}, one noise"
    elif rows > 1:
        cells = [(row, columns // 2) for row in range(rows)]
        shown = f"the categories of {plan.row_code}, one noise" if plan.row_code else "different noise"
    else:
        cells, shown = [(0, column) for column in range(columns)], f"{plan.code} from low to high"
    chosen = tuple(cells[i] for i in evenly(len(cells), _MOST_CELLS))
    return Layout(rows=rows, columns=columns, size=size, cells=chosen, shown=shown)


def read_sheets(samples: Path, layout: Layout | None, stage: StageHistory | None) -> SampleSheets | None:
    """Read the sheets in a run's ``samples`` folder; None where there is none.

    Args:
        samples: The folder; need not be there.
        layout: How a sheet of this run should be laid out, where that is known.
        stage: The stage that draws, to turn steps into epochs.
    """
    found = sorted(_steps(samples).items())
    chosen = [found[i] for i in evenly(len(found), MAX_SHEETS)]
    sheets: list[Sheet] = []
    for step, path in chosen:
        pixels = _read_sheet(path)
        if pixels is not None and (not sheets or pixels.shape == sheets[0].pixels.shape):
            sheets.append(Sheet(step=step, epoch=stage.epoch_of(step) if stage else None, pixels=pixels))
    if not sheets:
        return None
    fits = layout is not None and _fits(layout, sheets[0].pixels)
    return SampleSheets(
        sheets=tuple(sheets), layout=layout if fits else None, unread=len(chosen) - len(sheets)
    )


def select_epochs(samples: SampleSheets, wanted: Sequence[float] | None = None) -> list[Sheet]:
    """Return the sheets nearest to the epochs ``wanted``; None: at most nine, at round epochs and the end."""
    sheets = samples.sheets
    if any(sheet.epoch is None for sheet in sheets):
        return [sheets[i] for i in evenly(len(sheets), _MOST_EPOCHS - 1)]
    epochs = np.array([sheet.epoch for sheet in sheets], np.float64)
    if wanted is None:
        last = float(epochs[-1])
        steps = [base * 10**power for power in range(7) for base in _STEPS]
        step = next((step for step in steps if last / step <= _MOST_EPOCHS - 1), steps[-1])
        wanted = [*np.arange(0, last, step).tolist(), last]
    nearest = sorted({int(np.abs(epochs - epoch).argmin()) for epoch in wanted})
    return [sheets[i] for i in nearest]


def to_animation(samples: SampleSheets, kind: str) -> bytes:
    """Return the sheets as an animation of about eight seconds, each captioned with its epoch.

    Args:
        samples: The sheets.
        kind: ``"GIF"`` or ``"WEBP"``; where WebP cannot be written here, GIF all the same.
    """
    kind = kind if kind == "GIF" or features.check("webp") else "GIF"
    chosen = list(samples.sheets)
    while True:
        content = _animated(chosen, kind)
        if len(content) <= MAX_ANIMATION_BYTES or len(chosen) <= 2:  # noqa: PLR2004 - first and last
            return content
        chosen = [*chosen[:-1:2], chosen[-1]]


def _animated(sheets: Sequence[Sheet], kind: str) -> bytes:
    scale = max(1, _LEAST_WIDTH // sheets[0].pixels.shape[1])
    last = max(len(sheets) - 1, 1)
    drawn = [
        captioned(sheet.pixels.repeat(scale, axis=0).repeat(scale, axis=1), sheet.when, number / last)
        for number, sheet in enumerate(sheets)
    ]
    each = min(max(_DURATION_MS // len(drawn), _SHORTEST_MS), _LONGEST_MS)
    content = io.BytesIO()
    animate(drawn, content, kind, [*[each] * (len(drawn) - 1), _LAST_MS])
    return content.getvalue()


def _steps(samples: Path) -> dict[int, Path]:
    if not samples.is_dir():
        return {}
    found = {}
    for path, _ in zip(samples.iterdir(), range(_MAX_LISTED), strict=False):
        match = _NAME.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return found


def _read_sheet(path: Path) -> NDArray[np.uint8] | None:
    """Return a sheet; None where the file is no PNG image of a sheet's size."""
    try:
        content = read_limited(path, _MAX_FILE)
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=["PNG"]) as image,
        ):
            if image.width * image.height > _MAX_PIXELS:
                return None
            pixels = np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
    except Exception:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
        return None
    return pixels.reshape(*pixels.shape[:2], -1)


def _fits(layout: Layout, pixels: NDArray[np.uint8]) -> bool:
    """Say whether a sheet holds the layout, with its gaps where they should be."""
    stride = layout.size + _GAP
    height, width = layout.rows * stride + _GAP, layout.columns * stride + _GAP
    if pixels.shape[0] < height or pixels.shape[1] < width:
        return False
    across = pixels[:height, :width].min(axis=(1, 2))[np.arange(layout.rows + 1) * stride]
    down = pixels[:height, :width].min(axis=(0, 2))[np.arange(layout.columns + 1) * stride]
    white = 255
    return bool((across == white).all() and (down == white).all())
