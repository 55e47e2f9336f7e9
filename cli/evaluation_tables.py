"""The tables that ``evaluate``, ``sweep`` and ``select`` print, at most 80 columns wide."""

from __future__ import annotations

from pathlib import Path
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
    from infogan_tool.export.select import Selection
    from infogan_tool.export.sweep import Sweep

_WIDTH: Final = 80
_MAX_CONFUSION: Final = 12
"""A confusion matrix with more columns does not fit; the JSON has it."""
_MAX_STYLES: Final = 3
"""Continuous codes side by side."""
_STRONG: Final = 0.8
"""Correlations from this on are bold."""
_SURE: Final = 0.8
"""Share of resamples from which a selection counts as sure."""
_BUNDLE_WIDTH: Final = 24
_MAX_BOUNDS: Final = 7
"""Codes of a sweep's table; the JSON has all."""
_MAX_PAIRS: Final = 10
"""Pairs of continuous codes; the JSON has all."""
_LABEL_WIDTH: Final = 12
_NONE: Final = "-"
_PRIOR_STD: Final = 3**-0.5

_Cell = str | Text


def format_results(results: Results) -> str:
    """Return the results of an evaluation as tables, coloured where standard output is a terminal."""
    return _rendered(_results(results))


def format_sweep(sweep: Sweep) -> str:
    """Return the scores of a sweep as a table with the mean and the spread below."""
    return _rendered(_sweep(sweep))


def format_selection(selection: Selection) -> str:
    """Return the ranking of bundles as a table, with what it means below."""
    return _rendered(_selection(selection))


def _rendered(parts: Iterable[RenderableType]) -> str:
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDTH)
    with console.capture() as capture:
        console.print(Group(*parts))
    return "\n".join(line.rstrip() for line in capture.get().strip("\n").split("\n"))


def _results(results: Results) -> Iterator[RenderableType]:
    data = results.data
    yield _line(
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
        yield _line(f"\n{data.name} has no labels, so there is no accuracy, calibration, purity or distance.")


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
        ("images with confidence below 0.5", _percent(confidence.below_half)),
        ("images with confidence below 0.9", _percent(confidence.below_nine_tenths)),
    ]
    if calibration:
        scores.append(("expected calibration error (ECE)", f"{calibration.ece:.4f}"))
        if calibration.temperature is not None and calibration.ece_tempered is not None:
            scores.append(
                (f"ECE at temperature {calibration.temperature:.2f}", f"{calibration.ece_tempered:.4f}")
            )
    yield from _table(f"Encoder on real images: {code}", ("metric", "value"), scores)
    if clustering is None:
        return
    generated = results.generator.purity[code].categories if results.generator else ()
    title, headings = (
        f"Categories of {code} on real images",
        ["category", "label", "images", "purity", "recall"],
    )
    rows: list[list[_Cell]] = [
        [f"#{row.category}", _name(row.label), f"{row.count:,}", _percent(row.purity), _percent(row.recall)]
        for row in clustering.categories
    ]
    if generated:
        title, headings = f"{title}, and class of generated images", [*headings, "generated class", "purity"]
        for row, other in zip(rows, generated, strict=True):
            row += [_name(other.label), _percent(other.purity)]
    yield from _table(title, headings, rows)
    if len(clustering.categories) <= _MAX_CONFUSION:
        yield from _table(
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
    yield from _table(
        f"Known factors: scores of all codes on {found.images:,} real images",
        ("metric", "value"),
        [(name, f"{value:.4f}") for name, value in scores],
    )
    yield from _table(
        "Known factors: the code with the most information, as share of the entropy",
        ("factor", "levels", "code", "information", "runner-up", "information"),
        [
            (
                _name(name),
                str(row.levels),
                row.code,
                _percent(row.information),
                row.runner_up or _NONE,
                _percent(row.runner_up_information),
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
    yield from _table("Mutual information of codes and generated images", headings, rows)
    if results.round_trip.categorical:
        yield from _table(
            "Categorical codes recovered from generated images",
            ("code", "recovered"),
            [(code, _percent(found.recovered)) for code, found in results.round_trip.categorical.items()],
        )
    if results.round_trip.continuous:
        yield from _table(
            "Continuous codes recovered from generated images",
            ("code", "Pearson r", "mean |error|", "bias", "predicted std", "within 1 std"),
            [
                (
                    code,
                    f"{found.pearson_r:.3f}",
                    f"{found.mean_abs_error:.3f}",
                    f"{found.mean_error:+.3f}",
                    f"{found.mean_std:.3f}",
                    _percent(found.within_one_std),
                )
                for code, found in results.round_trip.continuous.items()
            ],
        )


def _generator(results: Results, generator: GeneratorResults) -> Iterator[RenderableType]:
    if generator.purity:
        yield from _table(
            "Generated images by the evaluation classifier",
            ("code", "purity", "different classes", "agreement with the encoder"),
            [
                (code, _percent(p.purity), f"{p.classes_generated}", _percent(p.agrees_with_encoder))
                for code, p in generator.purity.items()
            ],
        )
    rows = [(f"{generator.generated_count:,} generated images", *_distances(generator.distances))]
    if generator.real_vs_real:
        count = f"{generator.real_vs_real_count:,} training images (baseline)"
        rows.append((count, *_distances(generator.real_vs_real)))
    yield from _table(
        f"Distance to {generator.real_count:,} real images, in features of the evaluation classifier",
        ("", "Frechet", "kernel", "density", "coverage"),
        rows,
    )
    if results.classifier:
        yield _line(
            f"The evaluation classifier has an accuracy of {_percent(results.classifier.test_accuracy)} on "
            f"{results.classifier.test_count:,} held-out real images."
        )


def _distances(found: Distances) -> tuple[str, ...]:
    return f"{found.frechet:.2f}", f"{found.kernel:.3f}", f"{found.density:.3f}", f"{found.coverage:.3f}"


def _styles(styles: StyleTable) -> Iterator[RenderableType]:
    codes = list(styles.codes)
    for start in range(0, len(codes), _MAX_STYLES):
        some = [(code, styles.codes[code].attributes) for code in codes[start : start + _MAX_STYLES]]
        yield from _table(
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
    rows.append(("prior", "", "+0.00", f"{_PRIOR_STD:.2f}", _percent(0)))
    yield from _table(
        f"Styles: name, and predicted values on {styles.real_images:,} real images",
        ("code", "name", "mean", "std", "outside -1 to 1"),
        rows,
    )


def _real_values(real: RealValues | None) -> tuple[_Cell, ...]:
    if real is None:
        return (_NONE,) * 3
    return _signed(real.mean).plain, f"{real.std:.2f}", _percent(real.outside_prior)


def _axes(axes: AxesTable) -> Iterator[RenderableType]:
    yield from _table(
        "Styles: effect on the image, relative to the code of the greatest, and use",
        ("code", "effect", "information, nats", "use"),
        [
            (code, _percent(effect), f"{axes.usage.information[code]:.2f}", axes.usage.describe(code))
            for code, effect in axes.effects.items()
        ],
    )
    if not axes.pairs:
        return
    shown = sorted(axes.pairs, key=lambda pair: -abs(pair.angle or 0))[:_MAX_PAIRS]
    yield from _table(
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


# --- seeds -----------------------------------------------------------------------------------------------


def _sweep(sweep: Sweep) -> Iterator[RenderableType]:
    codes = list(dict.fromkeys(c for score in sweep.scores for c in score.bounds if "_" not in c))[
        :_MAX_BOUNDS
    ]
    keys = list(sweep.scores[0].settings)
    last_parts = [key.rpartition(".")[2] for key in keys]
    shown_keys = keys if len(set(last_parts)) < len(keys) else last_parts
    yield from _table(
        "Seeds: accuracy on real images, L_I of each code in nats, angle of the styles",
        (*shown_keys, "seed", "accuracy", *codes, "degrees", "minutes"),
        [
            [
                *(printable(str(score.settings[key])) for key in keys),
                str(score.seed),
                "no labels" if score.accuracy is None else f"{score.accuracy:.4f}",
                *(f"{score.bounds[code]:.2f}" if code in score.bounds else _NONE for code in codes),
                _NONE if score.misalignment is None else f"{score.misalignment:.1f}",
                f"{score.seconds / 60:.1f}",
            ]
            for score in sweep.scores
        ],
    )
    spreads = [(some, spread) for some, spread in sweep.by_settings if spread]
    if len(sweep.by_settings) == 1:
        for _, spread in spreads:
            shown = ((name, _NONE if value is None else f"{value:.4f}") for name, value in spread.items())
            yield _line(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown))
    elif spreads:
        yield from _table(
            "Accuracy of the seeds of each combination",
            (*shown_keys, *(name.replace("_", " ") for name in spreads[0][1])),
            [
                [
                    *(printable(str(some[key])) for key in keys),
                    *(_NONE if value is None else f"{value:.4f}" for value in spread.values()),
                ]
                for some, spread in spreads
            ],
        )


def _selection(selection: Selection) -> Iterator[RenderableType]:
    ranking = selection.ranking
    yield from _table(
        "Agreement with the other bundles, without labels",
        ("bundle", "ModelCentrality", "UDR", "first", "dead", "duplicates", "codes"),
        [
            [
                printable(Path(ranked.bundle).name, _BUNDLE_WIDTH),
                f"{ranked.model_centrality:.3f}",
                f"{ranked.udr:.3f}",
                _percent(ranked.first_share),
                ", ".join(ranked.usage.dead) or _NONE,
                ", ".join("=".join(pair) for pair in ranked.usage.duplicates) or _NONE,
                str(ranked.usage.suggested),
            ]
            for ranked in ranking
        ],
    )
    best = ranking[0]
    yield _line(
        f"\nSelected: {printable(Path(best.bundle).name, _BUNDLE_WIDTH)}. It leads by {selection.gap:.3f} "
        f"and stays first in {_percent(best.first_share)} of the resamples of the others; UDR "
        + ("agrees." if selection.same_by_udr else "prefers another.")
    )
    if best.first_share < _SURE:
        yield _line("The lead is small: the first bundles are about as good.")


# --- cells -----------------------------------------------------------------------------------------------


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for index, heading in enumerate(headings):
        left = index == 0 or heading in ("label", "generated class", "name", "use")
        table.add_column(Text(heading), justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    yield Text(f"\n{printable(title)}", style="bold")
    yield table


def _line(text: str) -> Text:
    return Text("\n" if text.startswith("\n") else "").append(printable(text.removeprefix("\n")))


def _name(label: str | None) -> Text:
    return Text(_NONE if label is None else printable(label, _LABEL_WIDTH))


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.2f} %"


def _signed(value: float | None) -> Text:
    if value is None:
        return Text(_NONE)
    # Adding 0.0 turns a negative zero into a positive one.
    return Text(f"{round(value, 2) + 0.0:+.2f}", style="bold" if abs(value) >= _STRONG else "")
