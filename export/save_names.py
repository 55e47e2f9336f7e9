"""Write names of categories and styles into a bundle's metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infogan_tool.export.atomic_folder import only_writer_of, write_metadata
from infogan_tool.export.limitations import describe_limitations
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, read_metadata
from infogan_tool.runtime.bundle.names import apply_names
from infogan_tool.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.bundle.names import Names


def check_nameable(path: Path) -> None:
    """Refuse, before any work, a path whose codes cannot be named.

    Raises:
        UsageError: ``path`` is not the folder of a bundle, or is a pretrained bundle of the installation.
    """
    if not (path / METADATA_FILE).is_file():
        raise UsageError(f"{path} is not the folder of a bundle: export a run first, or copy a bundle")
    if path.resolve().is_relative_to(PRETRAINED_BUNDLE.parent.resolve()):
        raise UsageError(f"{path} belongs to the installation of infogan-tool: copy it, and name the copy")


def save_names(path: Path, names: Names, *, bundle_id: str | None = None) -> BundleMetadata:
    """Write names into the metadata of the bundle at ``path``; graphs and bundle id are not changed.

    Args:
        path: The bundle's folder.
        names: Names for some or all codes.
        bundle_id: Id of the bundle that the names are for; None for whichever is there.

    Returns:
        The metadata as written.

    Raises:
        UsageError: See :func:`check_nameable` and :func:`~infogan_tool.runtime.bundle.names.apply_names`.
        BundleError: The folder no longer holds that bundle.
        InUseError: Another process writes to the folder.
        OSError: The metadata cannot be written; they are not changed.
    """
    check_nameable(path)
    with only_writer_of(path):
        old = read_metadata(path)
        if bundle_id not in (None, old.bundle_id):
            raise BundleError(f"{path} was replaced while it was named: name it again")
        labels, styles = apply_names(old, names)
        before = old.card.get("named_by_hand")
        given = [
            code
            for code in old.latent.code_names
            if (isinstance(before, list) and code in before)
            or labels.get(code) != old.labels.get(code)
            or styles.get(code) != old.style_names.get(code)
        ]
        card = old.card | {"named_by_hand": given}
        new = replace(old, labels=labels, style_names=styles, card=card)
        # Limitations that an evaluation found stay.
        stated = card.get("limitations")
        derived = describe_limitations(old)
        measured = [line for line in stated if line not in derived] if isinstance(stated, list) else []
        card["limitations"] = [*describe_limitations(new), *measured]
        write_metadata(path, new)
    return new
