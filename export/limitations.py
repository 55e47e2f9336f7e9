"""The limitations of a bundle, as sentences for its model card."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from infogan_tool.runtime.bundle.metadata import data_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infogan_tool.export.evaluation.axes import AxesTable
    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.runtime.bundle.metadata import BundleMetadata


_TRAINS_G: Final = ("adversarial", "variational")
"""Stages that train the generator."""
_SHOWN_LABELS: Final = 5
"""Maximum number of labels that are listed."""
_LESS_VARIED: Final = 0.01
"""Coverage that generated images must lack."""


def describe_limitations(
    metadata: BundleMetadata, results: Results | None = None, *, axes: AxesTable | None = None
) -> list[str]:
    """Return the limitations of a bundle, one sentence each.

    Args:
        metadata: The bundle's; it may come from an untrusted file.
        results: An evaluation of that bundle; adds what was measured.
        axes: The axes of its codes; None: those of ``results``.
    """
    axes = axes or (results.axes if results else None)
    return [
        *describe_progress(metadata.training),
        *(describe_axes(axes) if axes else ()),
        *describe_reversed(metadata),
        *_from_metadata(metadata),
        *(_from_results(results) if results else ()),
    ]


def describe_progress(training: Mapping[str, Any]) -> list[str]:
    """Return a sentence if the training of a bundle is unfinished; ``training`` may be untrusted."""
    steps, planned, stages = (training.get(key) for key in ("steps", "planned_steps", "stages"))
    if not isinstance(steps, int) or not isinstance(planned, int) or not isinstance(stages, list):
        return []
    if steps >= planned:
        return []
    names = [stage.get("name") for stage in stages if isinstance(stage, dict)]
    untrained = "" if any(name in names for name in _TRAINS_G) else " The generator has not been trained yet."
    return [f"The training is unfinished: {steps:,} of {planned:,} steps.{untrained}"]


def describe_axes(axes: AxesTable) -> list[str]:
    """Return a sentence for each dead continuous code, and for each pair that is a duplicate or mixed."""
    return [
        *(
            f"{code} is dead: images hardly show it, and the encoder cannot infer it."
            for code in axes.usage.dead
        ),
        *(f"{a} and {b} are duplicates: both change the same thing." for a, b in axes.usage.duplicates),
        *(
            f"{pair.codes[0]} and {pair.codes[1]} are mixed: the axes of independent effects are rotated by "
            f"{abs(pair.angle or 0):.0f} degrees."
            for pair in axes.mixed
        ),
    ]


def describe_reversed(metadata: BundleMetadata) -> list[str]:
    """Return a sentence for each named style that runs the other way in some categories.

    The card may come from an untrusted file.
    """
    styles = metadata.card.get("styles")
    found = styles.get("reversed") if isinstance(styles, dict) else None
    if not isinstance(found, dict) or not metadata.latent.categorical:
        return []
    latent, sentences = metadata.latent, []
    for code in latent.continuous_names:
        groups, name = found.get(code), metadata.style_names.get(code)
        if not name or not isinstance(groups, list) or not groups:
            continue
        where = f"{len(groups)} combinations of categories"
        if len(latent.categorical) == 1:
            known = [
                metadata.shown_label("k1", one) for one in groups if _is_index(one, latent.categorical[0])
            ]
            where = f"categor{'y' if len(known) == 1 else 'ies'} {_listed(known)}" if known else ""
        if where:
            sentences.append(f"{code} changes {name} the other way in {where}.")
    return sentences


def _is_index(value: object, count: int) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < count


def _from_metadata(metadata: BundleMetadata) -> Iterator[str]:
    name = data_name(metadata.training) or "the training images"
    if metadata.image.preprocessing is None:
        yield f"Expects images with the layout of {name}; other images are only padded and resized."
    else:
        yield f"Reads one foreground object per image, which it scales and centres as in {name}."
    if metadata.latent.categorical:
        yield _about_outliers(metadata)
    yield from _about_names(metadata)
    if "styles" in metadata.card:
        unnamed = [code for code in metadata.latent.continuous_names if not metadata.style_names.get(code)]
        compared = [code for code in unnamed if _was_compared(metadata, code)]
        if compared:
            yield f"No single attribute describes {_listed(compared)}."
        if other := [code for code in unnamed if code not in compared]:
            yield f"Too few real images of a category to name {_listed(other)} after an attribute."
    if metadata.latent.continuous > len(metadata.latent.periodic):
        yield "Training uses style values from -1 to 1; images generated outside that range are extrapolated."
    if metadata.precision != "fp32":
        yield f"Computes in {metadata.precision}: codes are close to those of the fp32 bundle, but not equal."


def _was_compared(metadata: BundleMetadata, code: str) -> bool:
    """Return whether a code has a correlation on real images; the card may come from an untrusted file."""
    styles = metadata.card["styles"]
    correlation = styles.get("correlation") if isinstance(styles, dict) else None
    attributes = correlation.get(code) if isinstance(correlation, dict) else None
    if not isinstance(attributes, dict):
        return True
    return any(isinstance(r, list) and any(one is not None for one in r[1:]) for r in attributes.values())


def _about_names(metadata: BundleMetadata) -> Iterator[str]:
    by_hand, by_training = (
        [code for code in metadata.latent.code_names if isinstance(given, list) and code in given]
        for given in (metadata.card.get("named_by_hand"), metadata.card.get("named_by_training"))
    )
    if by_hand:
        yield f"Names of {', '.join(by_hand)} were given by hand after training, which uses no labels."
    elif any(map(any, metadata.labels.values())) or any(
        name for code, name in metadata.style_names.items() if code not in by_training
    ):
        yield "Names of categories and styles were measured after training, which uses no labels."
    if trained := [code for code in by_training if code not in by_hand]:
        yield (
            f"Names of {_listed(trained)} are of transformations that they were trained to stand for; "
            "no measured attribute confirms them."
        )


def _listed(codes: list[str]) -> str:
    return " and ".join([*([", ".join(codes[:-1])] if len(codes) > 1 else []), codes[-1]])


def _about_outliers(metadata: BundleMetadata) -> str:
    if metadata.ood is None:
        return "Every image is assigned a category; images unlike the training images are not flagged."
    share = metadata.ood.metrics.get("false_flags_test")
    test = f", and so are {100 * share:.1f} % of the test images" if isinstance(share, float) else ""
    return (
        "Every image is assigned a category; images unlike the training images are flagged as out of "
        f"distribution{test}."
    )


def _from_results(results: Results) -> Iterator[str]:
    data = results.data
    yield f"Metrics were measured on images of {data.name}; images from other sources may be read less well."
    clusterings = [(c.accuracy, code, c) for code, row in results.encoder.items() if (c := row.clustering)]
    if clusterings:
        # At most one of several codes follows the labels.
        _, code, clustering = max(clusterings, key=itemgetter(0))
        category_of = {row.label: row.category for row in clustering.categories}
        counted = {
            label: counts
            for label, counts in zip(data.label_names or (), clustering.confusion, strict=True)
            if any(counts)
        }
        if lost := [label for label in counted if label not in category_of]:
            if len(lost) > _SHOWN_LABELS + 1:
                lost[_SHOWN_LABELS:] = [f"{len(lost) - _SHOWN_LABELS} more labels"]
            yield f"{code} has no category for {_listed(lost)}."
        missed = [
            (1 - counts[category_of[label]] / sum(counts), label)
            for label, counts in counted.items()
            if label in category_of
        ]
        share, label = max(missed, default=(0.0, ""))
        if share > 0:
            images = f"{100 * share:.1f} % of its {data.scored_on} images"
            yield f"{code} is least accurate for {label}: {images} are assigned another category."
    generator = results.generator
    # Coverage depends on the numbers of images.
    if generator and generator.real_vs_real and generator.generated_count == generator.real_vs_real_count:
        coverage, baseline = generator.distances.coverage, generator.real_vs_real.coverage
        if baseline - coverage >= _LESS_VARIED:
            yield (
                f"Generated images vary less than real images: coverage {coverage:.2f}, "
                f"real-vs-real baseline {baseline:.2f}."
            )
