"""The page: one file that asks for nothing else, in light, in dark and on paper."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from infogan_tool import __version__
from infogan_tool.export.report.captions import CAPTIONS
from infogan_tool.export.report.tables import at_a_glance, categories, escaped, facts, settings, timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.panels import Panel, Row, Section

__all__ = ["page"]

_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""The browser itself keeps the page from asking for anything."""
_CODES: Final = "codes"


def page(entries: Sequence[Entry], sections: Sequence[Section], animations: Mapping[str, bytes]) -> str:
    """Return the page as HTML.

    Args:
        entries: What it is about.
        sections: Its figures.
        animations: Animations of the training, GIF or WebP, by the entry's name.
    """
    title = " and ".join(escaped(entry.name) for entry in entries)
    times = timing(entries)
    chapters = [("glance", "At a glance"), *((s.key, s.title) for s in sections)]
    chapters += [("timing", "Timing")] if times else []
    chapters += [("about", "What it is")]
    links = "".join(f'<li><a href="#{key}">{escaped(name)}</a></li>' for key, name in chapters)
    style = files("infogan_tool.export.report").joinpath("page.css").read_text(encoding="utf-8")
    boxed = '<div class="row wide">{}</div>'.format
    body = "".join(_section(section, entries, animations) for section in sections)
    alone = ' class="alone"' if len(entries) == 1 else ""
    time_part = _chapter("timing", "Timing", boxed(times)) if times else ""
    glance = _chapter("glance", "At a glance", boxed(at_a_glance(entries)) + _notes(entries))
    about = _chapter("about", "What it is", f'<div class="cards wide">{"".join(map(_card, entries))}</div>')
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}: report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1><p>{_introduction(entries)}</p></header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main{alone}>\n'
        f"{glance}{body}{time_part}{about}</main>\n"
        f"<footer>Made by infogan-tool {escaped(__version__)}. docs/guide/report.md says how each figure is "
        "measured.</footer>\n</body>\n</html>\n"
    )


def _introduction(entries: Sequence[Entry]) -> str:
    evaluation = next((s.model.evaluation for s in entries if s.model and s.model.evaluation), None)
    told = "What was learnt, drawn and measured on the exported graphs"
    if evaluation is None:
        return f"{told}, without real images to compare with."
    data = evaluation.data
    return (
        f"{told}: {data.scored_count:,} real {escaped(data.scored_on)} images of {escaped(data.name)}, "
        f"{evaluation.samples:,} generated ones, seed {evaluation.seed}."
    )


def _notes(entries: Sequence[Entry]) -> str:
    lines = [f"<li>{escaped(s.name)}: {escaped(note)}</li>" for s in entries for note in s.notes]
    lines += [
        f"<li>{escaped(s.name)}: {s.model.left_out} more codes are not shown</li>"
        for s in entries
        if s.model and s.model.left_out
    ]
    return f'<ul class="notes">{"".join(lines)}</ul>' if lines else ""


def _section(section: Section, entries: Sequence[Entry], animations: Mapping[str, bytes]) -> str:
    rows = "".join(_row(row, alone=len(entries) == 1) for row in section.rows)
    if section.key == "evolution":
        rows += (
            f'<div class="row">{"".join(_animation(*named) for named in animations.items())}</div>\n'
            if animations
            else ""
        )
    if section.key == _CODES:
        rows += _looks(entries)
    return _chapter(section.key, section.title, rows)


def _chapter(key: str, title: str, content: str) -> str:
    heading = f'<h2 id="{key}">{escaped(title)}</h2>'
    return f'<section aria-labelledby="{key}">{heading}<div class="rows">{content}</div></section>\n'


def _row(row: Row, *, alone: bool) -> str:
    panels = "".join(_panel(panel, alone=alone) for panel in row.panels)
    wide = " wide" if len(row.panels) > 1 else ""
    return (
        f'<div class="row{wide}"><h3>{escaped(row.title)}</h3><p class="reading">{row.reading}</p>'
        f'<div class="panels">{panels}</div></div>\n'
    )


def _panel(panel: Panel, *, alone: bool) -> str:
    words = [] if alone or panel.entry is None else [escaped(panel.entry)]
    if panel.key == "real":
        words = ["real images"]
    elif panel.key == "generated" and alone:
        words = ["generated"]
    caption = f"<figcaption>{words[0]}</figcaption>" if words else ""
    return (
        f'<figure style="--width: {panel.drawn.width:.0f}px">{caption}'
        f'<div role="img" aria-label="{escaped(panel.alt)}">{panel.drawn.svg}</div></figure>'
    )


def _animation(name: str, content: bytes) -> str:
    kind = "gif" if content[:3] == b"GIF" else "webp"
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    told = (
        f"The sample sheets of {escaped(name)} one after the other: generated images of fixed latents "
        "on the left, real ones on the right."
    )
    # Folded: what moves by itself must be possible to stop, and the page has no script.
    return (
        f"<details><summary>Play the training of {escaped(name)}</summary>"
        f'<figure><img src="{source}" alt="{told}"></figure></details>'
    )


def _looks(entries: Sequence[Entry]) -> str:
    tables = [
        f"<div><h4>{escaped(entry.name)}</h4>{table}</div>"
        for entry in entries
        if entry.model is not None
        for grid in entry.model.grids
        if grid.code in entry.model.metadata.latent.categorical_names
        for table in [categories(entry, entry.model, grid.code)]
        if table
    ]
    if not tables:
        return ""
    title, reading = CAPTIONS["looks"]
    return (
        f'<div class="row wide"><h3>{title}</h3><p class="reading">{reading}</p>'
        f'<div class="panels">{"".join(tables)}</div></div>\n'
    )


def _card(entry: Entry) -> str:
    return f'<div class="row"><h3>{escaped(entry.name)}</h3>{facts(entry)}{settings(entry)}</div>'
