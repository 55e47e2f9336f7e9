"""Draw figures with matplotlib, each as SVG for the page and as PNG.

A figure is drawn once, in the colours of the light theme. In the SVG a CSS variable of the page replaces each
of these colours, so that the figure follows the dark theme and print; text stays text.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

INK: Final = "#1d1b18"
SOFT: Final = "#5d584e"
LINE: Final = "#dfd9cb"
ON: Final = "#fefefe"
"""Text on a filled cell."""
SERIES: Final = ("#4a3fc4", "#00706a", "#a84400", "#a0266e", "#1d5fae", "#6b6212")
"""Colours of lines; :data:`DASHES` distinguishes them as well."""
DASHES: Final = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (9, 3)))

ID_PREFIX: Final = "id-of-figure-"
"""Beginning of each id in a figure; the page replaces it by one that is unique on the page."""

_VARIABLES: Final = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    ON: "--on",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES)},
}
_COLOUR: Final = re.compile("|".join(_VARIABLES), re.IGNORECASE)
_FONT: Final = re.compile(r"font-family:[^;]*;?")
_SVG: Final = "{http://www.w3.org/2000/svg}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
_URL: Final = re.compile(r"url\(#([^)]+)\)")
_DPI: Final = 160
_MAX_SIDE: Final = 96
"""Images with a longer side are reduced."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "infogan",
    "text.parse_math": False,  # a label may contain a $
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
    "legend.handlelength": 2.0,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
}

# Names of the namespaces in the SVG that is written.
ET.register_namespace("", _SVG[1:-1])
ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedFigure:
    """A drawn figure."""

    svg: str
    """For a page: without declaration, in the page's colours and font; ids begin with :data:`ID_PREFIX`."""
    png: bytes
    """On a white background."""
    width: float
    """Natural width on the page, CSS pixels."""


def draw(paint: Callable[[Axes], None], *, width: float, height: float) -> RenderedFigure:
    """Draw a figure of one pair of axes.

    Args:
        paint: Draws on the axes.
        width: Inches.
        height: Inches.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it logs that it builds its font cache
    with mpl.rc_context(), warnings.catch_warnings(action="ignore"):  # such as a letter that the font lacks
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        vector, raster = io.StringIO(), io.BytesIO()
        figure.savefig(vector, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        figure.savefig(raster, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return RenderedFigure(svg=_for_page(vector.getvalue()), png=raster.getvalue(), width=width * 96)


def mosaic(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Arrange images ``(rows, columns, H, W, C)`` with transparent gaps between them.

    Returns:
        RGBA ``(H', W', 4)``, and the width of the gaps in pixels.
    """
    rows, columns, height, width = images.shape[:4]
    step = -(-max(height, width) // _MAX_SIDE)
    if step > 1:  # means of blocks
        images = images[:, :, : height // step * step, : width // step * step]
        blocks = images.reshape(rows, columns, height // step, step, width // step, step, -1)
        images = blocks.mean(axis=(3, 5)).round().astype(np.uint8)
        height, width = height // step, width // step
    gap = max(1, width // 14)
    grid = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for row in range(rows):
        for column in range(columns):
            cell = (
                slice(row * (height + gap), row * (height + gap) + height),
                slice(column * (width + gap), column * (width + gap) + width),
            )
            grid[cell][..., :3] = images[row, column]  # one channel is broadcast to three
            grid[cell][..., 3] = 255
    return grid, gap


def _for_page(svg: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib just now
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    used = {m for e in root.iter() for v in e.attrib.values() for m in _URL.findall(v)}
    used |= {v[1:] for e in root.iter() for k, v in e.attrib.items() if k == _HREF and v.startswith("#")}
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            element.set(key, _attribute(key, value))
        if element.get("id", "").removeprefix(ID_PREFIX) not in used:
            element.attrib.pop("id", None)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return ET.tostring(root, encoding="unicode")


def _attribute(key: str, value: str) -> str:
    if key == "id":
        return f"{ID_PREFIX}{value}"
    if key == _HREF:
        return f"#{ID_PREFIX}{value[1:]}" if value.startswith("#") else "".join(value.split())
    if key == "style":
        value = _FONT.sub("", value)
        value = _COLOUR.sub(lambda match: f"var({_VARIABLES[match[0].lower()]})", value)
    return _URL.sub(rf"url(#{ID_PREFIX}\1)", value)
