"""The tables that ``evaluate`` prints, at most 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from infogan_tool.export.evaluation.axes import AxesTable
    from infogan_tool.export.evaluation.factor_scores import FactorScores
    from infogan_tool.export.evaluation.results import Distances, EncoderResults, GeneratorResults, Results
    from infogan_tool.export.evaluation.styles import RealValues, StyleTable

_WIDTH: Final = 80
_MAX_CONFUSION: Final = 12
"""A confusion matrix with more columns does not fit; the JSON has it."""
_MAX_STYLES: Final = 3
"""Continuous codes side by side."""
_STRONG: Final = 0.8
"""Correlations from this on are bold."""
_MAX_PAIRS: Final = 10
"""Pairs of continuous codes; the JSON has all."""
_LABEL_WIDTH: Final = 12
NONE: Final = "-"
"""Cell of a value that there is not."""
_PRIOR_STD: Final = 3**-0.5

_Cell = str | Text


def format_results(results: Results) -> str:
    """Return the results of an evaluation as tables, coloured where standard output is a terminal."""
    return rendered(_results(results))


def rendered(parts: Iterable[RenderableType]) -> str:
    """Return tables and lines as text, coloured where standard output is a terminal."""
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDTH)
    with console.capture() as capture:
        console.print(Group(*parts))
    return "\n".join(line.rstrip() for line in capture.get().strip("\n").split("\n"))


def _results(results: Results) -> Iterator[RenderableType]:
    data = results.data
    yield line(
        f"Bundle {results.bundle_id[:12]} on {data.name}: {data.scored_count:,} {data.scored_on} images, "
        f"{results.samples:,} generated images, seed {results.seed}"
    )
    for code, encoder in results.encoder.items():
        yield from _encoder(code, encoder, results)
    if results.factor_scores:
        yield from _factors(results.factor_scores)
    yield from _codes(results)
    if results.generator:
        yield from _generator(results, results.generator)
    if results.styles.codes:
        yield from _styles(results.styles)
        yield from _axes(results.axes)
    if data.label_names is None:
        yield line(f"\n{data.name} has no labels, so there is no accuracy, calibration, purity or distance.")


# --- real images -----------------------------------------------------------------------------------------


def _encoder(code: str, encoder: EncoderResults, results: Results) -> Iterator[RenderableType]:
    confidence, calibration, clustering = encoder.confidence, encoder.calibration, encoder.clustering
    scores = []
    if clustering:
        scores += [
            ("accuracy", f"{clustering.accuracy:.4f}"),
            ("normalised mutual information (NMI)", f"{clustering.nmi:.4f}"),
            ("adjusted Rand index (ARI)", f"{clustering.ari:.4f}"),
        ]
    scores += [
        ("mean confidence", f"{confidence.mean:.4f}"),
        ("images with confidence below 0.5", percent(confidence.below_half)),
        ("images with confidence below 0.9", percent(confidence.below_nine_tenths)),
    ]
    if calibration:
        scores.append(("expected calibration error (ECE)", f"{calibration.ece:.4f}"))
        if calibration.temperature is not None and calibration.ece_tempered is not None:
            scores.append(
                (f"ECE at temperature {calibration.temperature:.2f}", f"{calibration.ece_tempered:.4f}")
            )
    yield from table(f"Encoder on real images: {code}", ("metric", "value"), scores)
    if clustering is None:
        return
    generated = results.generator.purity[code].categories if results.generator else ()
    title, headings = (
        f"Categories of {code} on real images",
        ["category", "label", "images", "purity", "recall"],
    )
    rows: list[list[_Cell]] = [
        [f"#{row.category}", _name(row.label), f"{row.count:,}", percent(row.purity), percent(row.recall)]
        for row in clustering.categories
    ]
    if generated:
        title, headings = f"{title}, and class of generated images", [*headings, "generated class", "purity"]
        for row, other in zip(rows, generated, strict=True):
            row += [_name(other.label), percent(other.purity)]
    yield from table(title, headings, rows)
    if len(clustering.categories) <= _MAX_CONFUSION:
        yield from table(
            f"Confusion matrix: real images by label and category of {code}",
            ("label", *(f"#{row.category}" for row in clustering.categories)),
            [
                [_name(name), *(f"{count:,}" if count else "." for count in row)]
                for name, row in zip(results.data.label_names or (), clustering.confusion, strict=True)
            ],
        )


def _factors(found: FactorScores) -> Iterator[RenderableType]:
    dci, infomec = found.dci, found.infomec
    scores = [
        ("FactorVAE", found.factor_vae),
        ("BetaVAE", found.beta_vae),
        ("mutual information gap (MIG)", found.mig),
        ("SAP", found.sap),
        ("DCI: disentanglement", dci.disentanglement),
        ("DCI: completeness", dci.completeness),
        ("DCI: informativeness", dci.informativeness),
        ("modularity", found.modularity),
        ("explicitness", found.explicitness),
        ("InfoMEC: modularity", infomec.modularity),
        ("InfoMEC: explicitness", infomec.explicitness),
        ("InfoMEC: compactness", infomec.compactness),
    ]
    yield from table(
        f"Known factors: scores of all codes on {found.images:,} real images",
        ("metric", "value"),
        [(name, f"{value:.4f}") for name, value in scores],
    )
    yield from table(
        "Known factors: the code with the most information, as share of the entropy",
        ("factor", "levels", "code", "information", "r", "runner-up", "information"),
        [
            (
                _name(name),
                str(row.levels),
                row.code,
                percent(row.information),
                NONE if row.correlation is None else f"{row.correlation:.3f}",
                row.runner_up or NONE,
                percent(row.runner_up_information),
            )
            for name, row in found.factors.items()
        ],
    )


# --- generated images ------------------------------------------------------------------------------------


def _codes(results: Results) -> Iterator[RenderableType]:
    bound = results.information
    rows = [(code, f"{i.lower_bound_nats:.3f}", f"{i.entropy_nats:.3f}") for code, i in bound.codes.items()]
    if len(rows) > 1:
        rows.append(("sum", f"{bound.lower_bound_nats:.3f}", f"{bound.entropy_nats:.3f}"))
    headings = ("code", "lower bound L_I, nats", "entropy H(c), nats")
    yield from table("Mutual information of codes and generated images", headings, rows)
    if results.round_trip.categorical:
        yield from table(
            "Categorical codes recovered from generated images",
            ("code", "recovered"),
            [(code, percent(found.recovered)) for code, found in results.round_trip.categorical.items()],
        )
    if results.round_trip.continuous:
        yield from table(
            "Continuous codes recovered from generated images",
            ("code", "Pearson r", "mean |error|", "bias", "predicted std", "within 1 std"),
            [
                (
                    code,
                    f"{found.pearson_r:.3f}",
                    f"{found.mean_abs_error:.3f}",
                    f"{found.mean_error:+.3f}",
                    f"{found.mean_std:.3f}",
                    percent(found.within_one_std),
                )
                for code, found in results.round_trip.continuous.items()
            ],
        )


def _generator(results: Results, generator: GeneratorResults) -> Iterator[RenderableType]:
    if generator.purity:
        yield from table(
            "Generated images by the evaluation classifier",
            ("code", "purity", "different classes", "agreement with the encoder"),
            [
                (code, percent(p.purity), f"{p.classes_generated}", percent(p.agrees_with_encoder))
                for code, p in generator.purity.items()
            ],
        )
    rows = [(f"{generator.generated_count:,} generated images", *_distances(generator.distances))]
    if generator.real_vs_real:
        count = f"{generator.real_vs_real_count:,} training images (baseline)"
        rows.append((count, *_distances(generator.real_vs_real)))
    yield from table(
        f"Distance to {generator.real_count:,} real images, in features of the evaluation classifier",
        ("", "Frechet", "kernel", "density", "coverage"),
        rows,
    )
    if results.classifier:
        yield line(
            f"The evaluation classifier has an accuracy of {percent(results.classifier.test_accuracy)} on "
            f"{results.classifier.test_count:,} held-out real images."
        )


def _distances(found: Distances) -> tuple[str, ...]:
    return f"{found.frechet:.2f}", f"{found.kernel:.3f}", f"{found.density:.3f}", f"{found.coverage:.3f}"


def _styles(styles: StyleTable) -> Iterator[RenderableType]:
    codes = list(styles.codes)
    for start in range(0, len(codes), _MAX_STYLES):
        some = [(code, styles.codes[code].attributes) for code in codes[start : start + _MAX_STYLES]]
        yield from table(
            "Styles: Pearson's r of codes and attributes, on generated and on real images",
            ("attribute", *(f"{code}\n{kind}" for code, _ in some for kind in ("generated", "real"))),
            [
                [
                    attribute.replace("_", " "),
                    *(
                        _signed(r)
                        for _, rows in some
                        for r in (rows[attribute].generated_pearson, rows[attribute].real_pearson)
                    ),
                ]
                for attribute in some[0][1]
            ],
        )
    rows: list[tuple[_Cell, ...]] = [
        (code, style.name or "no attribute", *_real_values(style.real))
        for code, style in styles.codes.items()
    ]
    rows.append(("prior", "", "+0.00", f"{_PRIOR_STD:.2f}", percent(0)))
    yield from table(
        f"Styles: name, and predicted values on {styles.real_images:,} real images",
        ("code", "name", "mean", "std", "outside -1 to 1"),
        rows,
    )


def _real_values(real: RealValues | None) -> tuple[_Cell, ...]:
    if real is None:
        return (NONE,) * 3
    return _signed(real.mean).plain, f"{real.std:.2f}", percent(real.outside_prior)


def _axes(axes: AxesTable) -> Iterator[RenderableType]:
    yield from table(
        "Styles: effect on the image, relative to the code of the greatest, and use",
        ("code", "effect", "information, nats", "use"),
        [
            (code, percent(effect), f"{axes.usage.information[code]:.2f}", axes.usage.describe(code))
            for code, effect in axes.effects.items()
        ],
    )
    if not axes.pairs:
        return
    shown = sorted(axes.pairs, key=lambda pair: -abs(pair.angle or 0))[:_MAX_PAIRS]
    yield from table(
        "Styles: angle between codes and independent effects (0: each code has one effect of its own)",
        ("codes", "degrees", "contrast"),
        [
            (
                " and ".join(pair.codes),
                "unknown" if pair.angle is None else f"{pair.angle + 0.0:+.1f}",
                f"{pair.contrast:.1f}",
            )
            for pair in shown
        ],
    )


# --- cells -----------------------------------------------------------------------------------------------


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> Iterator[RenderableType]:
    """Yield a title and a table; columns of numbers are aligned to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for index, heading in enumerate(headings):
        left = index == 0 or heading in ("label", "generated class", "name", "use")
        table.add_column(Text(heading), justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    yield Text(f"\n{printable(title)}", style="bold")
    yield table


def line(text: str) -> Text:
    """Return a line below a table; one that begins with a newline has an empty line above."""
    return Text("\n" if text.startswith("\n") else "").append(printable(text.removeprefix("\n")))


def _name(label: str | None) -> Text:
    return Text(NONE if label is None else printable(label, _LABEL_WIDTH))


def percent(share: float | None) -> str:
    """Return a share from 0 to 1 in percent."""
    return NONE if share is None else f"{100 * share:.2f} %"


def _signed(value: float | None) -> Text:
    if value is None:
        return Text(NONE)
    # Adding 0.0 turns a negative zero into a positive one.
    return Text(f"{round(value, 2) + 0.0:+.2f}", style="bold" if abs(value) >= _STRONG else "")
