"""Figures of a training: losses, what D thinks, what the codes tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.report.canvas import DASHES, SERIES, SOFT, draw
from infogan_tool.export.report.panels import Panel, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from infogan_tool.export.report.canvas import RenderedFigure
    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.metrics_log import StageHistory

__all__ = ["information", "losses", "other_stages", "probabilities"]

WIDTH: Final = 4.6
HEIGHT: Final = 2.9
_PROBABILITIES: Final = {
    "Scores/real": "D(real)",
    "Scores/fake_before_g": "D(fake) before G",
    "Scores/fake_after_g": "D(fake) after G",
}
_LOSSES: Final = {"Loss/D/adv": "D", "Loss/G/adv": "G"}
_Q: Final = "Loss/Q/"
_SMOOTH: Final = 60
"""Curves of more points are shown faint, with their running mean."""
_LABELLED: Final = 6
"""More curves than that are not named one by one."""
_HALF: Final = 0.5
_BOTTOM, _TOP = 0.5, 99.5
_ROOM: Final = 0.25
_HANDLE, _LETTER = 34, 4.9
"""Points that a legend needs for each entry and each letter."""


def losses(entry: Entry, name: str) -> Panel | None:
    """Draw the losses of D, G and Q, or of the autoencoder, in the stage that draws."""
    stage = entry.history.generator_stage()
    if stage is None:
        return None
    shown = {label: stage.scalars[key] for key, label in _LOSSES.items() if key in stage.scalars}
    q_parts = {key: values for key, values in stage.scalars.items() if key.startswith(_Q)}
    # A kind of code that the latent does not have is told as 0 all along.
    shown |= {f"Q, {key.removeprefix(_Q)}": values for key, values in q_parts.items() if values.any()}
    others = {
        key.removeprefix("Loss/").replace("/", ", "): values
        for key, values in stage.scalars.items()
        if key.startswith("Loss/") and key not in _LOSSES and key not in q_parts
    }
    shown |= others
    if not shown:
        return None
    drawn = _lines(stage, shown, name, "loss", robust=True)
    return Panel(key="losses", entry=entry.name, drawn=drawn, alt=_told("Losses", shown))


def other_stages(entry: Entry, name: str) -> Panel | None:
    """Draw the losses of the other stages, one after the other over the steps of the run."""
    drawing = entry.history.generator_stage()
    parts = [
        (stage, key, values)
        for stage in entry.history.stages
        if stage is not drawing
        for key, values in stage.scalars.items()
        if key.startswith(("Loss/", "MI/")) and np.isfinite(values).sum() > 1
    ][:_LABELLED]
    if not parts:
        return None

    starts, begin = {}, 0  # side by side, without the stage that draws, which is far longer
    for stage in dict.fromkeys(stage for stage, _, _ in parts):
        starts[stage], begin = begin, begin + stage.steps

    def paint(axes: Axes) -> None:
        for number, (stage, key, values) in enumerate(parts):
            steps = starts[stage] + stage.epochs * (stage.steps_per_epoch or 1)
            colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
            axes.plot(steps, values, color=colour, linestyle=dash, label=short(f"{stage.name}: {key}", 34))
        axes.set_xlabel("step of these stages, one after the other")
        _legend(axes, len(parts))

    shown = {f"{stage.name} {key}": values for stage, key, values in parts}
    drawn = draw(paint, width=WIDTH, height=HEIGHT, name=name)
    return Panel(key="other-stages", entry=entry.name, drawn=drawn, alt=_told("Other stages", shown))


def probabilities(entry: Entry, name: str) -> Panel | None:
    """Draw D's mean probability of real and of generated images."""
    stage = entry.history.generator_stage()
    found = stage.scalars if stage else {}
    shown = {label: found[key] for key, label in _PROBABILITIES.items() if key in found}
    if stage is None or not shown:
        return None

    def extra(axes: Axes) -> None:
        low, high = axes.get_ylim()
        within = low >= -_ROOM and high <= 1 + _ROOM
        if within:  # the scores of some losses are no probabilities
            axes.set_ylim(-0.02, 1.02)
        axes.axhline(_HALF if within else 0.0, color=SOFT, linewidth=0.8, linestyle=":")

    drawn = _lines(stage, shown, name, "probability", extra=extra)
    return Panel(key="probabilities", entry=entry.name, drawn=drawn, alt=_told("What D gives", shown))


def information(entry: Entry, name: str) -> Panel | None:
    """Draw L_I of each code in nats, with H(c) as a dotted line in the same colour."""
    stage = entry.history.generator_stage()
    codes = entry.latent.code_names if entry.latent else ()
    shown = {code: stage.scalars[f"MI/{code}"] for code in codes if stage and f"MI/{code}" in stage.scalars}
    if stage is None or entry.latent is None or not shown:
        return None
    entropies = entry.latent.entropies

    def extra(axes: Axes) -> None:
        drawn: set[float] = set()
        for number, code in enumerate(shown):
            entropy = entropies[code]
            if entropy not in drawn:
                drawn.add(entropy)
                colour = SERIES[number % len(SERIES)]
                axes.axhline(entropy, color=colour, linewidth=0.9, linestyle=":")
                kind = "k" if code.startswith("k") else "c"
                axes.annotate(
                    f"H({kind}) = {entropy:.2f}",
                    (1, entropy),
                    xycoords=("axes fraction", "data"),
                    xytext=(-2, 2),
                    textcoords="offset points",
                    ha="right",
                    color=colour,
                    fontsize=8,
                )

    drawn = _lines(stage, shown, name, "L_I, nats", robust=True, extra=extra, keep=list(entropies.values()))
    told = "; ".join(
        f"{code} ends at {_last(values)} of H = {entropies[code]:.2f}"
        for code, values in list(shown.items())[:_LABELLED]
    )
    return Panel(key="information", entry=entry.name, drawn=drawn, alt=f"L_I in nats over epochs: {told}.")


def _lines(
    stage: StageHistory,
    shown: Mapping[str, NDArray[np.float64]],
    name: str,
    unit: str,
    *,
    robust: bool = False,
    extra: object = None,
    keep: Sequence[float] = (),
) -> RenderedFigure:
    def paint(axes: Axes) -> None:
        for number, (label, values) in enumerate(shown.items()):
            colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
            told = short(label, 30) if number < _LABELLED else None
            if len(values) > _SMOOTH:
                axes.plot(stage.epochs, values, color=colour, alpha=0.22, linewidth=0.8)
            marker = "o" if len(values) == 1 else None
            axes.plot(stage.epochs, _smooth(values), color=colour, linestyle=dash, marker=marker, label=told)
        axes.set_xlabel("epoch" if stage.steps_per_epoch else "step")
        axes.set_ylabel(unit)
        if robust:
            _bounded(axes, shown, keep)
        if callable(extra):
            extra(axes)
        _legend(axes, len(shown))

    return draw(paint, width=WIDTH, height=HEIGHT, name=name)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running mean over a twentieth of the curve where it is long; gaps stay gaps."""
    if len(values) <= _SMOOTH:
        return values
    width = len(values) // 20 | 1
    kernel, known = np.ones(width), np.isfinite(values)
    sums = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    counts = np.convolve(known.astype(np.float64), kernel, mode="same")
    smooth: NDArray[np.float64] = np.where(known, sums / np.maximum(counts, 1), np.nan)
    return smooth


def _bounded(axes: Axes, shown: Mapping[str, NDArray[np.float64]], keep: Sequence[float]) -> None:
    """Keep a first outlier from flattening all the rest."""
    every = np.concatenate([values[np.isfinite(values)] for values in shown.values()])
    if not len(every):
        return
    low, high = np.percentile(every, (_BOTTOM, _TOP))
    low, high = min(low, *keep, high), max(high, *keep, low)
    room = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)


def _legend(axes: Axes, count: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    if count > _LABELLED:
        labels[-1] += f", and {count - _LABELLED} more"
    figure = axes.get_figure()
    assert figure is not None
    columns = next((n for n in (len(labels), 2) if _fits(labels, n)), 1)
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def _fits(labels: Sequence[str], columns: int) -> bool:
    """Say whether a legend of so many columns is no wider than the figure."""
    widest = max(map(len, labels)) * columns if columns < len(labels) else sum(map(len, labels))
    return columns * _HANDLE + widest * _LETTER <= WIDTH * 72


def _told(what: str, shown: Mapping[str, NDArray[np.float64]]) -> str:
    ends = "; ".join(f"{label} ends at {_last(values)}" for label, values in list(shown.items())[:_LABELLED])
    return f"{what} over the training: {ends}."


def _last(values: NDArray[np.float64]) -> str:
    known = _smooth(values)[np.isfinite(values)]
    return f"{known[-1]:.3g}" if len(known) else "nothing"
