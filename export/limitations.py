"""Where a bundle ends, in sentences for its card: of what it is, and of what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infogan_tool.export.preprocessing_options import data_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infogan_tool.export.evaluation.results import Results
    from infogan_tool.runtime.bundle.metadata import BundleMetadata

__all__ = ["with_limitations"]


def with_limitations(metadata: BundleMetadata, results: Results | None = None) -> dict[str, Any]:
    """Return the card of ``metadata`` with its ``limits``, a list of sentences.

    Args:
        metadata: All else of it; read from a file or not.
        results: An evaluation of that bundle, for what only measuring tells.
    """
    found = [*_of_what_it_is(metadata), *(_of_what_was_measured(results) if results else ())]
    return {**metadata.card, "limitations": found}


def _of_what_it_is(metadata: BundleMetadata) -> Iterator[str]:
    name = data_name(metadata.training) or "its training images"
    if metadata.image.preprocessing is None:
        yield f"It reads images that are laid out like those of {name}; others are only padded and resized."
    else:
        yield f"It reads one figure at a time: finds it in an image, and scales and centres it as in {name}."
    if metadata.latent.categorical:
        yield _of_outliers(metadata)
    yield "Names of categories and styles were found by measuring afterwards; training never saw them."
    nameless = [code for code in metadata.latent.continuous_names if not metadata.style_names.get(code)]
    if nameless:
        yield f"No single attribute says what {_listed(nameless)} {'does' if len(nameless) == 1 else 'do'}."
    if metadata.latent.continuous:
        yield "Styles beyond -1 and 1 were not drawn in training: what is drawn there is a guess."
    if metadata.precision != "fp32":
        yield f"It computes in {metadata.precision}: its codes are near those of fp32, not the same."


def _of_outliers(metadata: BundleMetadata) -> str:
    has_one = "An image of another kind has a category too"
    if metadata.ood is None:
        return f"{has_one}, and is not flagged."
    flags = metadata.ood.metrics.get("false_flags_test")
    own = f", as are {100 * flags:.1f} % of the test images" if isinstance(flags, float) else ""
    return f"{has_one}; where it is unlike the training images it is flagged as out of distribution{own}."


def _of_what_was_measured(results: Results) -> Iterator[str]:
    data = results.data
    yield f"All figures are of images of {data.name}; what is made in another way may be read less well."
    for code, found in results.encoder.items():
        rows = found.clustering.categories if found.clustering else ()
        missed = [(1 - row.recall, row.label) for row in rows if row.recall is not None]
        if missed and max(missed)[0] > 0:
            share, label = max(missed)
            misread = f"{100 * share:.1f} % of its {data.scored_on} images"
            yield f"{code} is least right for {label}: {misread} have another category."
    if results.generator and results.generator.real_vs_real:
        drawn, real = results.generator.distances.coverage, results.generator.real_vs_real.coverage
        if drawn < real:
            yield f"What it draws varies less than real images: coverage {drawn:.2f}, theirs {real:.2f}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
