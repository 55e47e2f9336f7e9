"""Save the results of an evaluation in the card of the bundle, where ``info`` and ``explore`` show them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.export.atomic_folder import only_writer_of, write_metadata
from infogan_tool.export.limitations import describe_limitations
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, read_metadata
from infogan_tool.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.export.evaluation.results import Results

_OMITTED: Final = frozenset(
    {
        "schema_version",
        "bundle_id",
        "label_names",
        "confusion",
        "categories",
        "styles",
        "votes",
        "information_by_code",
        "correlation_by_code",
    }
)
"""Tables that are too large for a card, and values that the metadata already hold."""


def check_savable(path: Path | None) -> None:
    """Refuse, before any work, a path that has no card to write to.

    Raises:
        UsageError: ``path`` is not a bundle.
    """
    if path is None or not (path / METADATA_FILE).is_file():
        raise UsageError("--save needs the folder of a bundle: export the run first, and name the bundle")


def save_results(results: Results, path: Path) -> None:
    """Write the metrics of an evaluation, and the limitations that follow, into a bundle's metadata.

    Args:
        results: Results of the bundle at ``path``; tables are omitted.
        path: Folder of the bundle. Graphs and bundle id are not changed.

    Raises:
        BundleError: The folder no longer holds that bundle.
        InUseError: Another process writes to the folder.
        OSError: The metadata cannot be written; they are not changed.
    """
    with only_writer_of(path):
        metadata = read_metadata(path)
        if metadata.bundle_id != results.bundle_id:
            raise BundleError(f"{path} was replaced while it was measured: evaluate it again")
        card = metadata.card | {
            "limitations": describe_limitations(metadata, results),
            "evaluation": _without_tables(results.to_dict()),
        }
        write_metadata(path, replace(metadata, card=card))


def _without_tables(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_tables(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if key not in _OMITTED
    }
