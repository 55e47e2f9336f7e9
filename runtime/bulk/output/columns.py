"""The columns of codes, in their order in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.bundle.reading import Posterior

Kind = Literal["text", "index", "number", "flag"]


def columns_of(metadata: BundleMetadata) -> list[tuple[str, Kind]]:
    """Return name and kind of each column of a CSV or Parquet file, in order."""
    latent = metadata.latent
    columns: list[tuple[str, Kind]] = [("path", "text")]
    for code, size in zip(latent.categorical_names, latent.categorical, strict=True):
        columns += [(code, "index"), (f"{code}_label", "text"), (f"{code}_confidence", "number")]
        columns += [(f"{code}_p{index}", "number") for index in range(size)]
    for code in latent.continuous_names:
        columns += [(code, "number"), (f"{code}_std", "number")]
    if metadata.ood is not None:
        columns += [("ood", "flag"), ("distance", "number")]
    if latent.categorical:
        columns.append(("low_confidence", "flag"))
    return columns


def values_of(
    names: Sequence[str], posterior: Posterior, labels: Sequence[Sequence[str | None]]
) -> list[Sequence[Any]]:
    """Return the values of each of these columns for N images: arrays, and lists of texts.

    Args:
        names: Their names, as they are written.
        posterior: Their codes.
        labels: For each categorical code the label of each category, as it is written.
    """
    columns: list[Any] = [names]
    for column, of_code in enumerate(labels):
        categories = posterior.categories[:, column]
        columns += [categories, [of_code[index] for index in categories.tolist()]]
        columns += [posterior.confidence[:, column], *posterior.probabilities[column].T]
    for column in range(posterior.style_mean.shape[1]):
        columns += [posterior.style_mean[:, column], posterior.style_std[:, column]]
    columns += [values for values in (posterior.ood, posterior.distance) if values is not None]
    if labels:
        columns.append(posterior.low_confidence)
    return columns
