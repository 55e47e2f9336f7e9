"""The tables that ``sweep`` and ``select`` print: trainings and bundles compared, at most 80 columns wide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from infogan_tool.cli.evaluation_tables import NONE, line, percent, rendered, table
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from infogan_tool.export.select import Selection
    from infogan_tool.export.sweep import Sweep

_SURE: Final = 0.8
"""Share of resamples from which a selection counts as sure."""
_BUNDLE_WIDTH: Final = 24
_MAX_BOUNDS: Final = 7
"""Codes of a sweep's table; the JSON has all."""


def format_sweep(sweep: Sweep) -> str:
    """Return the scores of a sweep as a table with the mean and the spread below."""
    return rendered(_sweep(sweep))


def format_selection(selection: Selection) -> str:
    """Return the ranking of bundles as a table, with what it means below."""
    return rendered(_selection(selection))


def _sweep(sweep: Sweep) -> Iterator[RenderableType]:
    codes = list(dict.fromkeys(c for score in sweep.scores for c in score.bounds if "_" not in c))[
        :_MAX_BOUNDS
    ]
    keys = list(sweep.scores[0].settings)
    last_parts = [key.rpartition(".")[2] for key in keys]
    shown_keys = keys if len(set(last_parts)) < len(keys) else last_parts
    yield from table(
        "Seeds: accuracy on real images, L_I of each code in nats, angle of the styles",
        (*shown_keys, "seed", "accuracy", *codes, "degrees", "minutes"),
        [
            [
                *(printable(str(score.settings[key])) for key in keys),
                str(score.seed),
                "no labels" if score.accuracy is None else f"{score.accuracy:.4f}",
                *(f"{score.bounds[code]:.2f}" if code in score.bounds else NONE for code in codes),
                NONE if score.misalignment is None else f"{score.misalignment:.1f}",
                f"{score.seconds / 60:.1f}",
            ]
            for score in sweep.scores
        ],
    )
    spreads = [(some, spread) for some, spread in sweep.by_settings if spread]
    if len(sweep.by_settings) == 1:
        for _, spread in spreads:
            shown = ((name, NONE if value is None else f"{value:.4f}") for name, value in spread.items())
            yield line(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown))
    elif spreads:
        yield from table(
            "Accuracy of the seeds of each combination",
            (*shown_keys, *(name.replace("_", " ") for name in spreads[0][1])),
            [
                [
                    *(printable(str(some[key])) for key in keys),
                    *(NONE if value is None else f"{value:.4f}" for value in spread.values()),
                ]
                for some, spread in spreads
            ],
        )


def _distinct(paths: Sequence[str]) -> list[str]:
    """Return the names of bundles, with the folders that they are in where names repeat."""
    parts = [Path(path).parts for path in paths]
    least = 1
    while len({part[-least:] for part in parts}) < len(set(parts)):
        least += 1
    return ["/".join(part[-least:]) for part in parts]


def _selection(selection: Selection) -> Iterator[RenderableType]:
    ranking = selection.ranking
    names = _distinct([ranked.bundle for ranked in ranking])
    yield from table(
        "Agreement with the other bundles, without labels",
        ("bundle", "ModelCentrality", "UDR", "first", "dead", "duplicates", "codes"),
        [
            [
                printable(name, _BUNDLE_WIDTH),
                f"{ranked.model_centrality:.3f}",
                f"{ranked.udr:.3f}",
                percent(ranked.first_share),
                ", ".join(ranked.usage.dead) or NONE,
                ", ".join("=".join(pair) for pair in ranked.usage.duplicates) or NONE,
                str(ranked.usage.suggested),
            ]
            for name, ranked in zip(names, ranking, strict=True)
        ],
    )
    best = ranking[0]
    if selection.one_code:
        yield line(
            f"\nSelected by UDR: {printable(names[0])}. ModelCentrality asks which code the images of a "
            "group share, and each bundle has only one."
        )
        return
    yield line(
        f"\nSelected: {printable(names[0])}. It leads by {selection.gap:.3f} "
        f"and stays first in {percent(best.first_share)} of the resamples of the others; UDR "
        + ("agrees." if selection.same_by_udr else "prefers another.")
    )
    if best.first_share < _SURE:
        yield line("The lead is small: the first bundles are about as good.")
