"""The page: a single HTML file without requests to other files, for light and dark themes and for print."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from infogan_tool import __version__
from infogan_tool.export.report.canvas import ID_PREFIX
from infogan_tool.export.report.captions import CAPTIONS
from infogan_tool.export.report.html import definitions, escaped, page
from infogan_tool.export.report.tables import categories, overview, settings, timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.panels import Panel, Section

_COLUMNS: Final = 4
"""More figures than these are put into two rows."""
_TABLE: Final = 420.0
"""Width of a table of categories, pixels."""


def make_page(entries: Sequence[Entry], sections: Sequence[Section], animations: Mapping[str, bytes]) -> str:
    """Return the page as HTML.

    Args:
        entries: The runs and bundles.
        sections: The figures.
        animations: Samples over training, GIF or WebP, by the entry's name.
    """
    title = " and ".join(escaped(entry.name) for entry in entries)
    boxed = '<div class="row wide">{}</div>'.format
    contents = {"overview": ("Overview", boxed(overview(entries)) + _notes(entries))}
    for section in sections:
        contents[section.key] = (section.title, _section(section, entries, animations))
    if times := timing(entries):
        contents["timing"] = ("Timing", boxed(times))
    cards = "".join(map(_card, entries))
    contents["details"] = ("Runs and bundles", f'<div class="cards wide">{cards}</div>')
    links = "".join(f'<li><a href="#{key}">{escaped(name)}</a></li>' for key, (name, _) in contents.items())
    body = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{escaped(name)}</h2>'
        f'<div class="rows">{content}</div></section>\n'
        for key, (name, content) in contents.items()
    )
    style = files("infogan_tool.export.report").joinpath("page.css").read_text(encoding="utf-8")
    alone = ' class="alone"' if len(entries) == 1 else ""
    content = (
        f"<header><h1>{title}</h1><p>{_introduction(entries)}</p></header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main{alone}>\n{body}</main>\n'
        f"<footer>Made by infogan-tool {escaped(__version__)}. docs/guide/report.md explains how each figure "
        "is measured.</footer>\n"
    )
    return page(f"{title}: report", style, content)


def _introduction(entries: Sequence[Entry]) -> str:
    found = [(entry.name, entry.results) for entry in entries if entry.results]
    if not found:
        return "Images and metrics of the exported graphs, without real images to compare with."
    real = {
        name: f"{results.data.scored_count:,} real {results.data.scored_on} images of {results.data.name}"
        for name, results in found
    }
    _, results = found[0]
    generated = f"{results.samples:,} generated images, seed {results.seed}."
    if len(set(real.values())) == 1:
        return f"Images and metrics of the exported graphs: {escaped(real[found[0][0]])}, {generated}"
    each = "; ".join(f"{name}: {images}" for name, images in real.items())
    return (
        f"Images and metrics of the exported graphs: {escaped(each)}. Accuracies and distances measured on "
        f"different images do not compare. {generated}"
    )


def _notes(entries: Sequence[Entry]) -> str:
    lines = [f"<li>{escaped(entry.name)}: {escaped(note)}</li>" for entry in entries for note in entry.notes]
    lines += [
        f"<li>{escaped(entry.name)}: {entry.model.left_out} more codes are not shown</li>"
        for entry in entries
        if entry.model and entry.model.left_out
    ]
    return f'<ul class="notes">{"".join(lines)}</ul>' if lines else ""


def _section(section: Section, entries: Sequence[Entry], animations: Mapping[str, bytes]) -> str:
    rows = ""
    for row in section.rows:
        real = sum(panel.key == "real" for panel in row.panels)
        panels = [
            _panel(panel, f"{panel.key}-{i}-", alone=len(entries) == 1, shared=real == 1)
            for i, panel in enumerate(row.panels)
        ]
        widest = max(panel.figure.width for panel in row.panels)
        rows += _row(row.title, row.caption, panels, widest=widest, wide=len(panels) > 1)
    if section.key == "evolution" and animations:
        rows += f'<div class="row">{"".join(_animation(*named) for named in animations.items())}</div>\n'
    if section.key == "codes":
        rows += _categories(entries)
    return rows


def _row(title: str, caption: str, panels: Sequence[str], *, widest: float, wide: bool) -> str:
    columns = len(panels) if len(panels) <= _COLUMNS else -(-len(panels) // 2)
    style = f"--columns: {columns}; --widest: {widest:.0f}px"
    return (
        f'<div class="row{" wide" if wide else ""}"><h3>{escaped(title)}</h3><p class="reading">{caption}</p>'
        f'<div class="panels" style="{style}">{"".join(panels)}</div></div>\n'
    )


def _panel(panel: Panel, id_prefix: str, *, alone: bool, shared: bool) -> str:
    svg = panel.figure.svg.replace(ID_PREFIX, id_prefix)
    caption = "" if alone or panel.entry is None else escaped(panel.entry)
    if panel.key == "real":
        caption = "real images" if shared else f"real images of {caption}"
    elif panel.key == "generated" and alone:
        caption = "generated images"
    caption = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure style="--width: {panel.figure.width:.0f}px">{caption}'
        f'<div role="img" aria-label="{escaped(panel.alt)}">{svg}</div></figure>'
    )


def _animation(name: str, content: bytes) -> str:
    kind = "gif" if content[:3] == b"GIF" else "webp"
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    alt = (
        f"The sample sheets of {escaped(name)} over training: generated images of fixed latents on the left, "
        "real images on the right."
    )
    # Folded: a reader must be able to stop an animation, and the page has no script.
    return (
        f"<details><summary>Play the samples of {escaped(name)} over training</summary>"
        f'<figure><img src="{source}" alt="{alt}"></figure></details>'
    )


def _categories(entries: Sequence[Entry]) -> str:
    tables = [
        f"<div><h4>{escaped(entry.name)}</h4>{content}</div>"
        for entry in entries
        if entry.model is not None
        for grid in entry.model.grids
        if grid.code in entry.model.metadata.latent.categorical_names
        and (content := categories(entry, entry.model, grid.code))
    ]
    return _row(*CAPTIONS["categories"], tables, widest=_TABLE, wide=True) if tables else ""


def _card(entry: Entry) -> str:
    pairs = {"kind": entry.kind, **({"preset": entry.preset} if entry.preset else {}), **entry.facts}
    return f'<div class="row"><h3>{escaped(entry.name)}</h3>{definitions(pairs)}{settings(entry)}</div>'
