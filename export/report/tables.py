"""What a report says in words and numbers, as HTML tables. Everything from a file is escaped here."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infogan_tool.export.report.entry import Entry, Model

__all__ = ["at_a_glance", "categories", "escaped", "facts", "settings", "timing"]

_MAX_SETTINGS: Final = 300
_MAX_DEPTH: Final = 6
_MAX_TEXT: Final = 200
_MAX_CATEGORIES: Final = 60
_DASH: Final = "–"  # noqa: RUF001 - a dash for what there is not
_MINUTE: Final = 60
_HOUR: Final = 3600


def escaped(text: object) -> str:
    """Return text for HTML: markup escaped, what is not printable spelled out, at most 200 characters."""
    shown = printable(text)
    return html.escape(shown if len(shown) <= _MAX_TEXT else f"{shown[: _MAX_TEXT - 1]}…")


def at_a_glance(entries: Sequence[Entry]) -> str:
    """Return the table of the main figures, a column for each entry."""
    rows = [
        ("What it is", None),
        ("Preset", [escaped(s.preset) if s.preset else _DASH for s in entries]),
        ("Training", [_trained(s) for s in entries]),
        ("Encoder", None),
        ("Accuracy on real images", [_accuracy(s) for s in entries]),
        ("L<sub>I</sub> of H(c), nats", [_bound(s) for s in entries]),
        ("Generator", None),
        (
            "Correctness, by the classifier",
            [_share(s.model.correctness if s.model else None) for s in entries],
        ),
        ("Classes drawn", [_classes(s) for s in entries]),
        ("Sharpness, real = 1", [_plain(s.model.relative_sharpness if s.model else None) for s in entries]),
        ("Frechet distance (real among themselves)", [_frechet(s) for s in entries]),
        ("Coverage", [_coverage(s) for s in entries]),
    ]
    codes = list(dict.fromkeys(code for s in entries if s.model for code in s.model.effects.codes))
    rows += [("Codes: how far they move the image, how consistently, how well they are read back", None)]
    rows += [(code, [_code(s, code) for s in entries]) for code in codes]
    kept = _with_content(rows)
    body = "".join(
        f'<tr class="part"><th colspan="{len(entries) + 1}" scope="colgroup">{title}</th></tr>'
        if cells is None
        else f'<tr><th scope="row">{title}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for title, cells in kept
    )
    head = "".join(f'<th scope="col">{escaped(s.name)}</th>' for s in entries)
    return _scrolled(
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>", "Figures at a glance"
    )


def facts(entry: Entry) -> str:
    """Return what an entry is, as a list of terms."""
    pairs = {"kind": entry.kind, **({"preset": entry.preset} if entry.preset else {}), **entry.facts}
    return "<dl>" + "".join(f"<dt>{escaped(k)}</dt><dd>{escaped(v)}</dd>" for k, v in pairs.items()) + "</dl>"


def settings(entry: Entry) -> str:
    """Return the config, key by key, folded; empty where it is not known."""
    pairs = list(_flat(entry.config, "", 0))
    if not pairs:
        return ""
    more = f"<p>The first {_MAX_SETTINGS} settings.</p>" if len(pairs) > _MAX_SETTINGS else ""
    rows = "".join(
        f'<tr><th scope="row">{escaped(key)}</th><td>{escaped(value)}</td></tr>'
        for key, value in pairs[:_MAX_SETTINGS]
    )
    table = _scrolled(f"<table><tbody>{rows}</tbody></table>", f"Config of {entry.name}")
    return f"<details><summary>Every setting</summary>{more}{table}</details>"


def categories(entry: Entry, model: Model, code: str) -> str:
    """Return which category looks like what: its name, and what the classifier sees in it."""
    generator = model.evaluation.generator if model.evaluation else None
    seen = generator.purity[code].categories if generator and code in generator.purity else ()
    size = model.metadata.latent.categorical[model.metadata.latent.categorical_index(code)]
    rows = []
    for index in range(min(size, _MAX_CATEGORIES)):
        name = model.metadata.label(code, index)
        judged = seen[index] if seen else None
        drawn = (
            f"{escaped(judged.label)} ({_share(judged.purity)})"
            if judged is not None and judged.label is not None
            else _DASH
        )
        cells = [escaped(name) if name is not None else _DASH, *([drawn] if seen else [])]
        rows.append(f'<tr><th scope="row">#{index}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    if not seen and not any(name is not None for name in model.metadata.labels.get(code, ())):
        return ""
    head = "<th scope='col'>on real images</th>" + (
        "<th scope='col'>drawn, by the classifier</th>" if seen else ""
    )
    table = (
        f"<table><thead><tr><th scope='col'>{escaped(code)}</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return _scrolled(table, f"Categories of {code} of {entry.name}")


def timing(entries: Sequence[Entry]) -> str:
    """Return how long each stage took; empty where no entry has a history."""
    rows = []
    for entry in entries:
        stages = entry.history.stages
        for stage in stages:
            per_step = 1000 * stage.seconds / stage.steps if stage.steps else 0.0
            rate = _rate(stage.images_per_second)
            cells = [f"{stage.steps:,}", rate, f"{per_step:,.1f}", duration(stage.seconds)]
            rows.append((entry.name, stage.name, cells))
        if len(stages) > 1:
            steps = f"{sum(stage.steps for stage in stages):,}"
            cells = [steps, "", "", duration(sum(stage.seconds for stage in stages))]
            rows.append((entry.name, "all", cells))
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td class="word">{escaped(stage)}</td>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, stage, cells in rows
    )
    heads = ("run", "stage", "steps", "images/s", "ms a step", "time")
    head = "".join(f'<th scope="col">{word}</th>' for word in heads)
    return _scrolled(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "Timing")


def duration(seconds: float) -> str:
    """Return a length of time for people."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < _HOUR:
        return f"{minutes} min"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE:02d} min"


# --- cells -------------------------------------------------------------------------------------------------


def _trained(entry: Entry) -> str:
    stages = entry.history.stages
    if not stages:
        return f"{entry.facts['steps']} steps" if "steps" in entry.facts else _DASH
    steps, seconds = sum(stage.steps for stage in stages), sum(stage.seconds for stage in stages)
    return f"{steps:,} steps, {duration(seconds)}"


def _accuracy(entry: Entry) -> str:
    evaluation = entry.model.evaluation if entry.model else None
    found = {
        code: row.clustering.accuracy
        for code, row in (evaluation.encoder if evaluation else {}).items()
        if row.clustering
    }
    if not found:
        return _DASH
    best = max(found, key=lambda code: found[code])
    return f"{found[best]:.4f}" + (f" ({best})" if len(found) > 1 else "")


def _bound(entry: Entry) -> str:
    evaluation = entry.model.evaluation if entry.model else None
    if evaluation is None:
        return _DASH
    return f"{evaluation.information.lower_bound_nats:.2f} of {evaluation.information.entropy_nats:.2f}"


def _classes(entry: Entry) -> str:
    generator = entry.model.evaluation.generator if entry.model and entry.model.evaluation else None
    if generator is None or not generator.purity:
        return _DASH
    best = max(generator.purity.values(), key=lambda found: found.purity)
    return f"{best.classes_generated} by {len(best.categories)} categories"


def _frechet(entry: Entry) -> str:
    generator = entry.model.evaluation.generator if entry.model and entry.model.evaluation else None
    if generator is None:
        return _DASH
    floor = f" ({generator.real_vs_real.frechet:.1f})" if generator.real_vs_real else ""
    return f"{generator.distances.frechet:.1f}{floor}"


def _coverage(entry: Entry) -> str:
    generator = entry.model.evaluation.generator if entry.model and entry.model.evaluation else None
    return _plain(generator.distances.coverage if generator else None)


def _code(entry: Entry, code: str) -> str:
    model = entry.model
    if model is None or code not in model.effects.codes:
        return _DASH
    effect, times = model.effects.codes[code], model.effects.times_noise(code)
    strength = f"{100 * effect.strength:.1f} % a pixel" if times is None else f"{times:.1f} x noise"
    parts = [strength, f"consistency {_plain(effect.consistency)}"]
    if code in model.recoveries:
        parts.append(f"r {model.recoveries[code].figures.pearson_r:.3f}")
    name = model.metadata.style_names.get(code)
    return ", ".join(parts) + (f"<br><small>{escaped(name)}</small>" if name else "")


def _share(value: float | None) -> str:
    return _DASH if value is None else f"{100 * value:.1f} %"


def _rate(value: float | None) -> str:
    if value is None:
        return _DASH
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004 - two digits


def _plain(value: float | None) -> str:
    return _DASH if value is None else f"{value:.2f}"


def _with_content(
    rows: Sequence[tuple[str, list[str] | None]],
) -> list[tuple[str, list[str] | None]]:
    """Leave out rows that are empty for every entry, and headings that are left without a row."""
    kept = [(t, c) for t, c in rows if c is None or any(cell != _DASH for cell in c)]
    following: list[tuple[str, list[str] | None]] = [*kept[1:], ("", None)]
    return [
        row for row, after in zip(kept, following, strict=True) if row[1] is not None or after[1] is not None
    ]


def _flat(values: Any, prefix: str, depth: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(values, dict) and depth < _MAX_DEPTH:
        for key, value in list(values.items())[: _MAX_SETTINGS + 1]:
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix:
        yield prefix, "none" if values is None else str(values)


def _scrolled(table: str, label: str) -> str:
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escaped(label)}">{table}</div>'
    )
