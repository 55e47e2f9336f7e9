"""The tables that ``evaluate`` prints for people, at most 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from infogan_tool.export.evaluation.results import Distances, EncoderResults, GeneratorResults, Results

__all__ = ["format_results"]

_MAX_CONFUSION: Final = 12
"""A confusion table with more columns does not fit; the JSON has it."""
_MAX_STYLES: Final = 3
"""Continuous codes side by side."""
_STRONG: Final = 0.8
"""A correlation that is shown bold."""
_LABEL_WIDTH: Final = 12
_NONE: Final = "-"


def format_results(results: Results) -> str:
    """Return the results as tables, coloured where standard output is a terminal."""
    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        console.print(Group(*_parts(results)))
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def _parts(results: Results) -> Iterator[RenderableType]:
    data = results.data
    yield _line(
        f"bundle {results.bundle_id[:12]} on {data.name}: {data.scored_count:,} {data.scored_on} images, "
        f"{results.samples:,} generated with seed {results.seed}"
    )
    for code, found in results.encoder.items():
        yield from _encoder(code, found, results)
    yield from _codes(results)
    if results.generator:
        yield from _generator(results, results.generator)
    yield from _styles(results)
    if data.label_names is None:
        yield _line(f"\n{data.name} has no labels, so there is no accuracy, calibration, purity or distance.")


# --- real images -----------------------------------------------------------------------------------------


def _encoder(code: str, found: EncoderResults, results: Results) -> Iterator[RenderableType]:
    yield _heading(f"{code} on real images")
    sure = found.confidence
    if found.clustering and found.calibration:
        scores, calibration = found.clustering, found.calibration
        yield _line(f"accuracy {scores.accuracy:.4f}   NMI {scores.nmi:.4f}   ARI {scores.ari:.4f}")
        after = ""
        if calibration.temperature is not None and calibration.ece_tempered is not None:
            after = (
                f"   at temperature {calibration.temperature:.2f} it would be {calibration.ece_tempered:.4f}"
            )
        yield _line(f"calibration error {calibration.ece:.4f}{after}")
    yield _line(
        f"confidence {sure.mean:.3f} on average; below 0.5 for {_percent(sure.below_half)} of images, "
        f"below 0.9 for {_percent(sure.below_nine_tenths)}"
    )
    if found.clustering:
        yield Text()
        yield _categories(code, found, results)
        if len(found.clustering.categories) <= _MAX_CONFUSION:
            yield _line("\nimages by label and category")
            yield _confusion(found, results.data.label_names or ())


def _categories(code: str, found: EncoderResults, results: Results) -> Table:
    assert found.clustering is not None
    drawn = results.generator.purity[code].categories if results.generator else ()
    table = _table(code, "label", "images", "purity", "recall", *(("drawn as", "purity") if drawn else ()))
    for row in found.clustering.categories:
        shares = _percent(row.purity), _percent(row.recall)
        cells: list[str | Text] = [f"#{row.category}", _name(row.label), f"{row.count:,}", *shares]
        if drawn:
            cells += [_name(drawn[row.category].label), _percent(drawn[row.category].purity)]
        table.add_row(*cells)
    return table


def _confusion(found: EncoderResults, names: Sequence[str]) -> Table:
    assert found.clustering is not None
    table = _table("label", *(f"#{row.category}" for row in found.clustering.categories))
    for name, row in zip(names, found.clustering.confusion, strict=True):
        table.add_row(_name(name), *(f"{count:,}" if count else "." for count in row))
    return table


# --- generated images ------------------------------------------------------------------------------------


def _codes(results: Results) -> Iterator[RenderableType]:
    yield _heading("Codes read back from generated images")
    table = _table("code", "L_I nats", "H(c) nats", "recovered", "r", "|error|", "bias", "std", "in std")
    for code, found in results.information.codes.items():
        cells = [code, f"{found.lower_bound_nats:.3f}", f"{found.entropy_nats:.3f}"]
        if code in results.round_trip.categorical:
            cells += [_percent(results.round_trip.categorical[code].recovered), *[""] * 5]
        else:
            read = results.round_trip.continuous[code]
            cells += ["", f"{read.pearson_r:.3f}", f"{read.mean_abs_error:.3f}"]
            cells += [f"{read.mean_error:+.3f}", f"{read.mean_std:.3f}", _percent(read.within_one_std)]
        table.add_row(*cells)
    bound = results.information
    if len(bound.codes) > 1:
        table.add_row("sum", f"{bound.lower_bound_nats:.3f}", f"{bound.entropy_nats:.3f}")
    yield table


def _generator(results: Results, found: GeneratorResults) -> Iterator[RenderableType]:
    yield _heading("Generated images as an independent classifier sees them")
    for code, purity in found.purity.items():
        agrees = purity.agrees_with_encoder
        also = "" if agrees is None else f"; {_percent(agrees)} show the label of their category"
        yield _line(
            f"{code}: {_percent(purity.purity)} show the class of their category "
            f"(different classes: {purity.classes_generated}){also}"
        )
    table = _table("against real images", "Frechet", "kernel", "density", "coverage")
    table.add_row(f"{found.generated_count:,} generated", *_distances(found.distances))
    if found.real_vs_real:
        table.add_row(f"{found.real_vs_real_count:,} training images", *_distances(found.real_vs_real))
    yield table
    if results.classifier:
        yield _line(
            f"{found.real_count:,} real images; the classifier gets "
            f"{_percent(results.classifier.test_accuracy)} of "
            f"{results.classifier.test_count:,} unseen ones right"
        )


def _distances(found: Distances) -> list[str]:
    return [
        f"{found.frechet:.2f}",
        f"{found.kernel:.3f}",
        f"{found.density:.3f}",
        f"{found.coverage:.3f}",
    ]


def _styles(results: Results) -> Iterator[RenderableType]:
    styles = results.styles
    if not styles.codes:
        return
    yield _heading("Styles: correlation with attributes of drawn and of real images")
    codes = list(styles.codes)
    for start in range(0, len(codes), _MAX_STYLES):
        some = codes[start : start + _MAX_STYLES]
        if start:
            yield Text()
        table = _table("attribute", *(f"{code} {what}" for code in some for what in ("drawn", "real")))
        for attribute in styles.codes[some[0]].attributes:
            rows = [styles.codes[code].attributes[attribute] for code in some]
            cells = [_signed(r) for row in rows for r in (row.generated_r, row.real_r)]
            table.add_row(attribute.replace("_", " "), *cells)
        yield table
    for code, row in styles.codes.items():
        if row.real:
            mean, beyond = _signed(row.real.mean).plain, _percent(row.real.beyond)
            yield _line(
                f"{code} of {styles.real_images:,} real images: mean {mean} and standard deviation "
                f"{row.real.std:.2f} (prior: 0 and 0.58), {beyond} beyond -1 and 1"
            )
    yield _line("; ".join(f"{c}: {row.name or 'no attribute dominates'}" for c, row in styles.codes.items()))


# --- pieces ------------------------------------------------------------------------------------------------


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column(Text(first), no_wrap=True)
    for heading in others:
        left = heading in ("label", "drawn as")
        table.add_column(Text(heading), justify="left" if left else "right", no_wrap=True)
    return table


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _line(text: str) -> Text:
    return Text("\n" if text.startswith("\n") else "").append(printable(text.removeprefix("\n")))


def _name(label: str | None) -> Text:
    shown = _NONE if label is None else printable(label)
    return Text(shown if len(shown) <= _LABEL_WIDTH else shown[: _LABEL_WIDTH - 1] + "…")


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.2f} %"


def _signed(value: float | None) -> Text:
    if value is None:
        return Text(_NONE)
    # Adding 0.0 makes a plain zero of a negative one.
    return Text(f"{round(value, 2) + 0.0:+.2f}", style="bold" if abs(value) >= _STRONG else "")
