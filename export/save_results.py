"""Keep an evaluation in the card of the bundle that it is of, where ``info`` and the explorer show it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.export.atomic_folder import only_writer_of, write_metadata
from infogan_tool.export.limitations import with_limitations
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, read_metadata
from infogan_tool.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.export.evaluation.results import Results

__all__ = ["refuse_unsavable", "save_results"]

_LEFT_OUT: Final = frozenset(
    {"schema_version", "bundle_id", "label_names", "confusion", "categories", "styles"}
)
"""Tables, which a card is too small for, and what the metadata say already."""


def refuse_unsavable(path: Path | None) -> None:
    """Refuse, before any work, what has no card of its own to write to.

    Raises:
        UsageError: ``path`` is no bundle.
    """
    if path is None or not (path / METADATA_FILE).is_file():
        raise UsageError("--save needs the folder of a bundle: export the run first, and name the bundle")


def save_results(results: Results, path: Path) -> None:
    """Write a results's figures, without its tables, and the limits they tell into a bundle's metadata.

    Args:
        results: Of the bundle at ``path``.
        path: The bundle's folder. Graphs and bundle id stay as they are.

    Raises:
        BundleError: Another bundle is there by now, or none.
        InUseError: Another process writes there.
        OSError: The metadata cannot be written; they are as they were.
    """
    with only_writer_of(path):
        metadata = read_metadata(path)
        if metadata.bundle_id != results.bundle_id:
            raise BundleError(f"{path} was replaced while it was measured: evaluate it again")
        card = with_limitations(metadata, results) | {"evaluation": _figures(results.to_dict())}
        write_metadata(path, replace(metadata, card=card))


def _figures(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _figures(item) if isinstance(item, dict) else item
        for key, item in value.items()
        if key not in _LEFT_OUT
    }
