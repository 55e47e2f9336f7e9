"""The columns of codes in CSV and Parquet files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from infogan_tool.runtime.bundle.metadata import BundleMetadata

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
