"""The parts of a page that hold figures: panels in rows, rows in sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infogan_tool.export.report.canvas import RenderedFigure


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One figure with its description."""

    key: str
    """Name of its file: letters, digits and hyphens."""
    entry: str | None
    """Name of the entry that it shows; None: all."""
    figure: RenderedFigure
    """The figure."""
    alt: str
    """Alternative text: what the figure shows, with its main numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The same figure of each entry, side by side."""

    title: str
    """Title."""
    caption: str
    """How to read the figure."""
    panels: tuple[Panel, ...]
    """At least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A section of the page."""

    key: str
    """Anchor."""
    title: str
    """Heading."""
    rows: tuple[Row, ...]
    """At least one."""
