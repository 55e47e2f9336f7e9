"""The tables of a page: overview, labels of categories, timing, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.export.report.html import DASH, decimals, escaped, format_duration, percent, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infogan_tool.export.report.entry import Entry, Model

_MAX_SETTINGS: Final = 300
_MAX_DEPTH: Final = 6
_MAX_CATEGORIES: Final = 60
_TWO_DIGITS: Final = 10


def overview(entries: Sequence[Entry]) -> str:
    """Return the table of the main metrics, a column for each entry."""
    models = [entry.model for entry in entries]
    rows: list[str | list[str]] = [
        "Training",
        ["Preset", *(escaped(e.preset) if e.preset else DASH for e in entries)],
        ["Steps and time", *(_training(e) for e in entries)],
        "Encoder",
        ["Accuracy on real images", *(_accuracy(m) for m in models)],
        ["L<sub>I</sub> of H(c), nats", *(_bound(m) for m in models)],
        "Generator",
        ["Correctness", *(percent(m.correctness if m else None) for m in models)],
        ["Classes generated", *(_classes(m) for m in models)],
        ["Sharpness, real = 1", *(decimals(m.relative_sharpness if m else None) for m in models)],
        ["Frechet distance (real-vs-real baseline)", *(_frechet(m) for m in models)],
        ["Coverage", *(_coverage(m) for m in models)],
        "Codes: strength, consistency, recovery",
    ]
    codes = dict.fromkeys(code for m in models if m for code in m.effects.codes)
    rows += [[code, *(_code(m, code) for m in models)] for code in codes]
    return table("Overview", ["", *(escaped(e.name) for e in entries)], _with_content(rows))


def _with_content(rows: Sequence[str | list[str]]) -> list[str | list[str]]:
    """Drop rows that are empty for every entry, and headings without a row."""
    kept = [row for row in rows if isinstance(row, str) or any(cell != DASH for cell in row[1:])]
    following: list[str | list[str]] = [*kept[1:], ""]
    return [
        row
        for row, after in zip(kept, following, strict=True)
        if not (isinstance(row, str) and isinstance(after, str))
    ]


def categories(entry: Entry, model: Model, code: str) -> str:
    """Return the label of each category on real images and its class on generated ones; empty without any."""
    classes = model.generated_categories(code)
    size = model.metadata.latent.categorical[model.metadata.latent.categorical_index(code)]
    rows = []
    for index in range(min(size, _MAX_CATEGORIES)):
        label = model.metadata.label(code, index)
        cells = [f"#{index}", DASH if label is None else escaped(label)]
        if classes:
            found = classes[index]
            cells.append(DASH if found.label is None else f"{escaped(found.label)} ({percent(found.purity)})")
        rows.append(cells)
    if all(cell == DASH for _, *cells in rows for cell in cells) and not classes:
        return ""
    head = [escaped(code), "label on real images", *(["class of generated images"] if classes else [])]
    return table(f"Categories of {code} of {entry.name}", head, rows)


def timing(entries: Sequence[Entry]) -> str:
    """Return the duration of each stage; empty where no entry has a metrics log."""
    rows = []
    for entry in entries:
        stages = entry.log.stages
        for stage in stages:
            step_ms = 1000 * stage.seconds / stage.steps if stage.steps else 0.0
            cells = [f"{stage.steps:,}", _rate(stage.images_per_second), f"{step_ms:,.1f}"]
            cells.append(format_duration(stage.seconds))
            rows.append([escaped(entry.name), escaped(stage.name), *cells])
        if len(stages) > 1:
            steps, seconds = sum(stage.steps for stage in stages), sum(stage.seconds for stage in stages)
            rows.append([escaped(entry.name), "all", f"{steps:,}", "", "", format_duration(seconds)])
    head = ["run", "stage", "steps", "images/s", "ms per step", "time"]
    return table("Timing", head, rows) if rows else ""


def settings(entry: Entry) -> str:
    """Return the config, key by key, folded; empty where it is not known."""
    pairs = list(_flat(entry.config, "", 0))
    if not pairs:
        return ""
    more = f"<p>The first {_MAX_SETTINGS} settings.</p>" if len(pairs) > _MAX_SETTINGS else ""
    rows = [[escaped(key), escaped(value)] for key, value in pairs[:_MAX_SETTINGS]]
    content = table(f"Config of {entry.name}", [], rows)
    return f"<details><summary>All settings</summary>{more}{content}</details>"


def _flat(values: Any, prefix: str, depth: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(values, dict) and depth < _MAX_DEPTH:
        for key, value in list(values.items())[: _MAX_SETTINGS + 1]:
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix:
        yield prefix, "none" if values is None else str(values)


# --- cells of the overview -------------------------------------------------------------------------------


def _training(entry: Entry) -> str:
    stages = entry.log.stages
    if not stages:
        return f"{entry.facts['steps']} steps" if "steps" in entry.facts else DASH
    steps, seconds = sum(stage.steps for stage in stages), sum(stage.seconds for stage in stages)
    return f"{steps:,} steps, {format_duration(seconds)}"


def _accuracy(model: Model | None) -> str:
    encoder = model.results.encoder if model and model.results else {}
    scores = {code: row.clustering.accuracy for code, row in encoder.items() if row.clustering}
    if not scores:
        return DASH
    best = max(scores, key=lambda code: scores[code])
    return f"{scores[best]:.4f}" + (f" ({best})" if len(scores) > 1 else "")


def _bound(model: Model | None) -> str:
    if model is None or model.results is None:
        return DASH
    return f"{model.results.information.lower_bound_nats:.2f} of {model.results.information.entropy_nats:.2f}"


def _classes(model: Model | None) -> str:
    if model is None or model.generator is None or not model.generator.purity:
        return DASH
    best = max(model.generator.purity.values(), key=lambda purity: purity.purity)
    return f"{best.classes_generated} by {len(best.categories)} categories"


def _frechet(model: Model | None) -> str:
    if model is None or model.generator is None:
        return DASH
    baseline = model.generator.real_vs_real
    return f"{model.generator.distances.frechet:.1f}" + (f" ({baseline.frechet:.1f})" if baseline else "")


def _coverage(model: Model | None) -> str:
    return decimals(model.generator.distances.coverage if model and model.generator else None)


def _code(model: Model | None, code: str) -> str:
    if model is None or code not in model.effects.codes:
        return DASH
    effect, times = model.effects.codes[code], model.effects.times_noise(code)
    strength = f"{100 * effect.strength:.1f} % of the range" if times is None else f"{times:.1f} x noise"
    parts = [strength, f"consistency {decimals(effect.consistency)}"]
    if code in model.recoveries:
        parts.append(f"r {model.recoveries[code].scores.pearson_r:.3f}")
    name = model.metadata.style_names.get(code)
    return ", ".join(parts) + (f"<br><small>{escaped(name)}</small>" if name else "")


def _rate(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= _TWO_DIGITS else f"{value:.2g}"
