"""Samples over training: the sample sheets of a run, which show the same latents at different steps.

The sheets are PNG files that :mod:`infogan_tool.train.infogan.sample_sheet` writes: generated images on the
left in the layout of :func:`infogan_tool.runtime.images.arrays.sheet`, real ones on the right. Single images
are cropped by that layout, so that no network has to be restored.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, features

from infogan_tool.export.evaluation.traversals import evenly
from infogan_tool.runtime.images.animation import animate, captioned
from infogan_tool.runtime.latents.sampling import sheet_code, traversal_shape
from infogan_tool.runtime.storage.atomic import read_limited

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.export.report.metrics_log import StageLog
    from infogan_tool.runtime.latents.spec import LatentSpec

MAX_SHEETS: Final = 100
"""Maximum number of sheets that are read; of more, so many are selected evenly, with the first and last."""
MAX_ANIMATION_BYTES: Final = 4_000_000
"""Every other sheet of a larger animation is dropped until it fits."""

_NAME: Final = re.compile(r"(step|codes)-(\d{1,15})\.png")
_MAX_FILE: Final = 1 << 26
_MAX_PIXELS: Final = 1 << 26
_MAX_BYTES: Final = 1 << 28
"""Memory of all sheets that are read; of larger ones fewer are."""
_MAX_LISTED: Final = 100_000
_GAP: Final = 2
"""White pixels between the images of a sheet."""
_MAX_CELLS: Final = 10
_STEPS: Final = (1, 2, 5)
_MAX_EPOCHS: Final = 9
_MIN_WIDTH: Final = 400
_MAX_WIDTH: Final = 2000
"""Wider sheets are reduced in an animation."""
_DURATION_MS: Final = 8000
_MIN_MS, _MAX_MS, _LAST_MS = 80, 600, 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Position of the images on the left part of a sheet."""

    code: str
    """The code that varies along the columns."""
    row_code: str | None
    """The categorical code that varies along the rows; None if only the noise does."""
    rows: int
    """Number of rows."""
    columns: int
    """Number of columns."""
    size: int
    """Side of an image, pixels."""
    cells: tuple[tuple[int, int], ...]
    """Row and column of the images that represent the sheet: at most ten."""
    shown: str
    """Description of these images."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sheet:
    """One sample sheet."""

    step: int
    """Step of the run."""
    epoch: float | None
    """Epoch within the stage that trains G; None where it is not known."""
    pixels: NDArray[np.uint8]
    """``(H, W, C)``."""

    @property
    def caption(self) -> str:
        """The epoch, or the step where the epoch is not known."""
        return f"step {self.step:,}" if self.epoch is None else f"epoch {round(self.epoch, 1):g}"

    def crop(self, layout: Layout) -> NDArray[np.uint8]:
        """Return the images of ``layout.cells``: ``(N, S, S, C)``."""
        size, stride = layout.size, layout.size + _GAP
        corners = [(_GAP + row * stride, _GAP + column * stride) for row, column in layout.cells]
        return np.stack([self.pixels[top : top + size, left : left + size] for top, left in corners])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SampleSheets:
    """The sample sheets of a run, in order and of one size."""

    sheets: tuple[Sheet, ...]
    """At least one."""
    layout: Layout | None
    """Position of the images; None where the sheets do not have the expected layout."""
    unread: int
    """Number of files that are not sheets of this run."""


def sheet_layout(spec: LatentSpec, size: int) -> Layout:
    """Return the layout of the sheets of a run with this latent spec and image size."""
    code = sheet_code(spec)
    rows, columns, row_code = traversal_shape(spec, code)
    if code in spec.categorical_names:
        cells, shown = [(0, column) for column in range(columns)], f"the categories of {code}, one noise"
    elif rows > 1:
        cells = [(row, columns // 2) for row in range(rows)]
        shown = f"the categories of {row_code}, one noise" if row_code else "different noise"
    else:
        cells, shown = [(0, column) for column in range(columns)], f"{code} from low to high"
    selected = tuple(cells[i] for i in evenly(len(cells), _MAX_CELLS))
    return Layout(
        code=code, row_code=row_code, rows=rows, columns=columns, size=size, cells=selected, shown=shown
    )


def read_sheets(folder: Path, layout: Layout | None, stage: StageLog | None) -> SampleSheets | None:
    """Read the sheets in a run's ``samples`` folder; None where there is none.

    Args:
        folder: The folder; it may be missing.
        layout: The expected layout, where it is known.
        stage: The stage that trains G, to convert steps to epochs.
    """
    paths = sorted(sheet_paths(folder).items())
    last = read_sheet(paths[-1][1]) if paths else None
    most = MAX_SHEETS if last is None else min(MAX_SHEETS, max(2, _MAX_BYTES // last.nbytes))
    selected = [paths[i] for i in evenly(len(paths), most)]
    sheets: list[Sheet] = []
    for step, path in selected:
        pixels = read_sheet(path)
        if pixels is not None and (not sheets or pixels.shape == sheets[0].pixels.shape):
            sheets.append(Sheet(step=step, epoch=stage.epoch_of(step) if stage else None, pixels=pixels))
    if not sheets:
        return None
    fits = layout is not None and _fits(layout, sheets[0].pixels)
    unread = len(selected) - len(sheets)
    return SampleSheets(sheets=tuple(sheets), layout=layout if fits else None, unread=unread)


def select_epochs(samples: SampleSheets, epochs: Sequence[float] | None = None) -> list[Sheet]:
    """Return the sheets nearest to ``epochs``; None: at most nine, at round epochs and the last."""
    sheets = samples.sheets
    known = [sheet.epoch for sheet in sheets if sheet.epoch is not None]
    if len(known) < len(sheets):
        return [sheets[i] for i in evenly(len(sheets), _MAX_EPOCHS - 1)]
    if epochs is None:
        last = known[-1]
        steps = [base * 10**power for power in range(-2, 7) for base in _STEPS]
        step = next((step for step in steps if last / step <= _MAX_EPOCHS - 1), steps[-1])
        epochs = [*np.arange(0, last, step).tolist(), last]
    return [sheets[i] for i in sorted({int(np.abs(np.array(known) - epoch).argmin()) for epoch in epochs})]


def to_animation(samples: SampleSheets, kind: str) -> bytes:
    """Return the sheets as an animation of about eight seconds, each captioned with its epoch.

    Args:
        samples: The sheets.
        kind: ``"GIF"`` or ``"WEBP"``; GIF also where Pillow cannot write WebP.
    """
    kind = kind if kind == "GIF" or features.check("webp") else "GIF"
    sheets = list(samples.sheets)
    while True:
        content = _animated(sheets, kind)
        if len(content) <= MAX_ANIMATION_BYTES or len(sheets) <= 2:  # noqa: PLR2004 - first and last
            return content
        sheets = [*sheets[:-1:2], sheets[-1]]


def _animated(sheets: Sequence[Sheet], kind: str) -> bytes:
    last = max(len(sheets) - 1, 1)
    frames = [
        captioned(_resized(sheet.pixels), sheet.caption, number / last) for number, sheet in enumerate(sheets)
    ]
    each = min(max(_DURATION_MS // len(frames), _MIN_MS), _MAX_MS)
    content = io.BytesIO()
    animate(frames, content, kind, [*[each] * (len(frames) - 1), _LAST_MS])
    return content.getvalue()


def _resized(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a sheet enlarged or reduced by a whole factor to a frame's width."""
    width = pixels.shape[1]
    scale = max(1, _MIN_WIDTH // width)
    enlarged = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    reduced = Image.fromarray(enlarged.squeeze(2) if enlarged.shape[2] == 1 else enlarged)
    reduced = reduced.reduce(-(-width // _MAX_WIDTH))
    return np.asarray(reduced).reshape(reduced.height, reduced.width, -1)


def sheet_paths(folder: Path, kind: str = "step") -> dict[int, Path]:
    """Return the path of each sheet by step; ``kind`` is the first word of their names."""
    if not folder.is_dir():
        return {}
    listed = (path for path, _ in zip(folder.iterdir(), range(_MAX_LISTED), strict=False))
    matches = ((path, _NAME.fullmatch(path.name)) for path in listed)
    return {int(match[2]): path for path, match in matches if match and match[1] == kind}


def read_sheet(path: Path) -> NDArray[np.uint8] | None:
    """Return the pixels ``(H, W, C)`` of a sheet; None where it is not a PNG image of a sheet's size."""
    try:
        content = read_limited(path, _MAX_FILE)
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=["PNG"]) as image,
        ):
            if image.width * image.height > _MAX_PIXELS:
                return None
            pixels = np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
    except Exception:  # noqa: BLE001 - decoders raise any exception on a damaged file
        return None
    return pixels.reshape(*pixels.shape[:2], -1)


def _fits(layout: Layout, pixels: NDArray[np.uint8]) -> bool:
    """Return whether a sheet is large enough for the layout, and white where the gaps should be."""
    stride = layout.size + _GAP
    height, width = layout.rows * stride + _GAP, layout.columns * stride + _GAP
    if pixels.shape[0] < height or pixels.shape[1] < width:
        return False
    across = pixels[:height, :width].min(axis=(1, 2))[np.arange(layout.rows + 1) * stride]
    down = pixels[:height, :width].min(axis=(0, 2))[np.arange(layout.columns + 1) * stride]
    white = 255
    return bool((across == white).all() and (down == white).all())
