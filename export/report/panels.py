"""A figure of the page with its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infogan_tool.export.report.canvas import RenderedFigure

__all__ = ["Panel", "Row", "Section", "short"]

_LONG = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One figure."""

    key: str
    """Its file is called so; letters, digits and hyphens."""
    entry: str | None
    """Name of the entry that it is of; None: of all."""
    drawn: RenderedFigure
    """The figure."""
    alt: str
    """What it shows, with its main numbers, for who cannot see it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The same figure of each entry, side by side."""

    title: str
    """What it shows."""
    reading: str
    """How to read it."""
    panels: tuple[Panel, ...]
    """At least one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A chapter of the page."""

    key: str
    """Its anchor."""
    title: str
    """Its heading."""
    rows: tuple[Row, ...]
    """At least one."""


def short(text: str, longest: int = _LONG) -> str:
    """Return ``text``, cut off where it is longer than fits into a figure."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
