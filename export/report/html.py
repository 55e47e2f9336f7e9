"""HTML of text, tables and lists. All text from files is escaped here."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MAX_TEXT: Final = 200
DASH: Final = "–"  # noqa: RUF001 - a dash for a missing value
"""Cell of a missing value."""
_MINUTE: Final = 60
_HOUR: Final = 3600


_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""Content security policy: the browser blocks every request and script."""


def page(title: str, style: str, body: str) -> str:
    """Return a page without requests to other files.

    Args:
        title: HTML.
        style: Style sheet.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def escaped(text: object, *, limit: int | None = _MAX_TEXT) -> str:
    """Return text for HTML: markup and control characters escaped, at most 200 characters or ``limit``."""
    return html.escape(printable(text, limit))


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[str] | str]) -> str:
    """Return a table that scrolls where it is too wide.

    Args:
        label: Its name for screen readers; not yet escaped.
        head: Cells of the head, HTML; empty for none.
        rows: Cells of each row, HTML, the first of them its heading; a string is a heading of the rows below.
    """
    columns, body = len(head), []
    for row in rows:
        if isinstance(row, str):
            body.append(f'<tr class="part"><th colspan="{columns}" scope="colgroup">{row}</th></tr>')
        else:
            cells = "".join(f"<td>{cell}</td>" for cell in row[1:])
            body.append(f'<tr><th scope="row">{row[0]}</th>{cells}</tr>')
    titles = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in head)
    top = f"<thead><tr>{titles}</tr></thead>" if head else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escaped(label)}">'
        f"<table>{top}<tbody>{''.join(body)}</tbody></table></div>"
    )


def definitions(pairs: Mapping[str, str]) -> str:
    """Return a list of terms and their values."""
    items = "".join(f"<dt>{escaped(key)}</dt><dd>{escaped(value)}</dd>" for key, value in pairs.items())
    return f"<dl>{items}</dl>"


def percent(share: float | None) -> str:
    """Return a share as a percentage, a dash for None."""
    return DASH if share is None else f"{100 * share:.1f} %"


def decimals(value: float | None) -> str:
    """Return a number with two decimals, a dash for None."""
    return DASH if value is None else f"{value:.2f}"


def format_duration(seconds: float) -> str:
    """Return a duration in seconds, minutes, or hours and minutes."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // _MINUTE} h {minutes % _MINUTE:02d} min"
