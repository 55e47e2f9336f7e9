"""Figures of a training: losses, probabilities of D, and mutual information of the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.export.report.canvas import DASHES, SERIES, SOFT, draw
from infogan_tool.export.report.panels import Panel
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from infogan_tool.export.report.canvas import RenderedFigure
    from infogan_tool.export.report.entry import Entry
    from infogan_tool.export.report.metrics_log import StageLog

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
"""Curves of more points are faint, with their running mean."""
_LABELLED: Final = 6
"""Maximum number of curves in a legend."""
_HALF: Final = 0.5
_PERCENTILES: Final = (0.5, 99.5)
_MARGIN: Final = 0.25
_HANDLE, _LETTER = 34, 4.9
"""Width of a legend's handle and of a letter, points."""


def losses(entry: Entry) -> Panel | None:
    """Draw the losses of D, G and Q, or of the autoencoder, in the stage that trains G."""
    stage = entry.log.generator_stage()
    if stage is None:
        return None
    curves = {label: stage.scalars[key] for key, label in _LOSSES.items() if key in stage.scalars}
    q_losses = {key: values for key, values in stage.scalars.items() if key.startswith(_Q)}
    # The loss of a kind of code that the latent spec does not have is logged as 0.
    curves |= {f"Q, {key.removeprefix(_Q)}": values for key, values in q_losses.items() if values.any()}
    curves |= {
        key.removeprefix("Loss/").replace("/", ", "): values
        for key, values in stage.scalars.items()
        if key.startswith("Loss/") and key not in _LOSSES and key not in q_losses
    }
    if not curves:
        return None
    figure = _lines(stage, curves, "loss", robust=True)
    return Panel(key="losses", entry=entry.name, figure=figure, alt=_describe("Losses", curves))


def other_stages(entry: Entry) -> Panel | None:
    """Draw the losses of the other stages, one after the other over the steps of the run."""
    generator_stage = entry.log.generator_stage()
    parts = [
        (stage, key, values)
        for stage in entry.log.stages
        if stage is not generator_stage
        for key, values in stage.scalars.items()
        if key.startswith(("Loss/", "MI/")) and np.isfinite(values).sum() > 1
    ][:_LABELLED]
    if not parts:
        return None

    starts, start = {}, 0  # without the stage that trains G, which is far longer
    for stage in dict.fromkeys(stage for stage, _, _ in parts):
        starts[stage], start = start, start + stage.steps

    def paint(axes: Axes) -> None:
        for number, (stage, key, values) in enumerate(parts):
            steps = starts[stage] + stage.epochs * (stage.steps_per_epoch or 1)
            colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
            label = printable(f"{stage.name}: {key}", 34)
            axes.plot(steps, values, color=colour, linestyle=dash, label=label)
        axes.set_xlabel("step of these stages, one after the other")
        _legend(axes, len(parts))

    curves = {f"{stage.name} {key}": values for stage, key, values in parts}
    figure = draw(paint, width=WIDTH, height=HEIGHT)
    return Panel(key="other-stages", entry=entry.name, figure=figure, alt=_describe("Other stages", curves))


def probabilities(entry: Entry) -> Panel | None:
    """Draw D's mean probability for real and for generated images."""
    stage = entry.log.generator_stage()
    scalars = stage.scalars if stage else {}
    curves = {label: scalars[key] for key, label in _PROBABILITIES.items() if key in scalars}
    if stage is None or not curves:
        return None

    def extra(axes: Axes) -> None:
        low, high = axes.get_ylim()
        within = low >= -_MARGIN and high <= 1 + _MARGIN
        if within:  # the scores of some losses are not probabilities
            axes.set_ylim(-0.02, 1.02)
        axes.axhline(_HALF if within else 0.0, color=SOFT, linewidth=0.8, linestyle=":")

    figure = _lines(stage, curves, "probability", extra=extra)
    alt = _describe("Probabilities of D", curves)
    return Panel(key="probabilities", entry=entry.name, figure=figure, alt=alt)


def information(entry: Entry) -> Panel | None:
    """Draw L_I of each code in nats, with H(c) as a dotted line in the same colour."""
    stage = entry.log.generator_stage()
    codes = entry.latent.code_names if entry.latent else ()
    curves = {code: stage.scalars[f"MI/{code}"] for code in codes if stage and f"MI/{code}" in stage.scalars}
    if stage is None or entry.latent is None or not curves:
        return None
    entropies = entry.latent.entropies

    def extra(axes: Axes) -> None:
        first_of = {entropies[code]: (number, code) for number, code in reversed(list(enumerate(curves)))}
        for entropy, (number, code) in first_of.items():
            colour = SERIES[number % len(SERIES)]
            axes.axhline(entropy, color=colour, linewidth=0.9, linestyle=":")
            axes.annotate(
                f"H({'k' if code.startswith('k') else 'c'}) = {entropy:.2f}",
                (1, entropy),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                color=colour,
                fontsize=8,
            )

    figure = _lines(stage, curves, "L_I, nats", robust=True, extra=extra, keep=list(entropies.values()))
    ends = "; ".join(
        f"{code} ends at {_last(values)} of H = {entropies[code]:.2f}"
        for code, values in list(curves.items())[:_LABELLED]
    )
    alt = f"L_I in nats over epochs: {ends}."
    return Panel(key="information", entry=entry.name, figure=figure, alt=alt)


def _lines(
    stage: StageLog,
    curves: Mapping[str, NDArray[np.float64]],
    unit: str,
    *,
    robust: bool = False,
    extra: Callable[[Axes], None] = lambda _: None,
    keep: Sequence[float] = (),
) -> RenderedFigure:
    """Draw curves over epochs; ``robust``: outliers do not extend the range, ``keep`` values do."""

    def paint(axes: Axes) -> None:
        for number, (label, values) in enumerate(curves.items()):
            colour, dash = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
            text = printable(label, 30) if number < _LABELLED else None
            if len(values) > _SMOOTH:
                axes.plot(stage.epochs, values, color=colour, alpha=0.22, linewidth=0.8)
            marker = "o" if len(values) == 1 else None
            axes.plot(stage.epochs, _smooth(values), color=colour, linestyle=dash, marker=marker, label=text)
        axes.set_xlabel("epoch" if stage.steps_per_epoch else "step")
        axes.set_ylabel(unit)
        if robust:
            _limit(axes, curves, keep)
        extra(axes)
        _legend(axes, len(curves))

    return draw(paint, width=WIDTH, height=HEIGHT)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running mean over a twentieth of a long curve; gaps stay gaps."""
    if len(values) <= _SMOOTH:
        return values
    width = len(values) // 20 | 1
    kernel, known = np.ones(width), np.isfinite(values)
    sums = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    counts = np.convolve(known.astype(np.float64), kernel, mode="same")
    smooth: NDArray[np.float64] = np.where(known, sums / np.maximum(counts, 1), np.nan)
    return smooth


def _limit(axes: Axes, curves: Mapping[str, NDArray[np.float64]], keep: Sequence[float]) -> None:
    values = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    if not len(values):
        return
    low, high = np.percentile(values, _PERCENTILES)
    low, high = min(low, *keep, high), max(high, *keep, low)
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


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
    """Return whether a legend of so many columns is no wider than the figure."""
    widest = max(map(len, labels)) * columns if columns < len(labels) else sum(map(len, labels))
    return columns * _HANDLE + widest * _LETTER <= WIDTH * 72


def _describe(what: str, curves: Mapping[str, NDArray[np.float64]]) -> str:
    ends = "; ".join(f"{label} ends at {_last(values)}" for label, values in list(curves.items())[:_LABELLED])
    return f"{what} over training: {ends}."


def _last(values: NDArray[np.float64]) -> str:
    known = _smooth(values)[np.isfinite(values)]
    return f"{known[-1]:.3g}" if len(known) else "nothing"
