"""A folder of several files is written aside and renamed, so that a reader sees all of it or nothing."""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infogan_tool.runtime.contract import METADATA_FILE
from infogan_tool.runtime.errors import OutputExistsError
from infogan_tool.runtime.files import write_aside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infogan_tool.runtime.contract import BundleMetadata

__all__ = ["refuse_taken", "write_metadata", "written_aside"]


def refuse_taken(out: Path, *, force: bool, mark: str = METADATA_FILE, kind: str = "a bundle") -> None:
    """Refuse a folder that is there, unless ``force`` is set and it may be replaced.

    Args:
        out: The folder to write.
        force: Replace it if it is empty or holds a file that matches ``mark``.
        mark: A glob pattern, relative to ``out``, of a file that every folder of this kind has.
        kind: What it is called in the message.

    Raises:
        OutputExistsError: It is there and not to be replaced.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not force:
        raise OutputExistsError(out)
    if not out.is_dir() or (any(out.iterdir()) and not any(file.is_file() for file in out.glob(mark))):
        raise OutputExistsError(out, f"it is not {kind}, so --force does not replace it; name another")


@contextmanager
def written_aside(
    out: Path, *, force: bool, mark: str = METADATA_FILE, kind: str = "a bundle"
) -> Iterator[Path]:
    """Give a folder beside ``out`` to fill; rename it to ``out`` when the block ends well, else remove it.

    Arguments and errors are those of :func:`refuse_taken`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    aside, old = (out.with_name(f".{out.name}.{token}.{what}") for what in ("partial", "old"))
    aside.mkdir()
    try:
        yield aside
        refuse_taken(out, force=force, mark=mark, kind=kind)
        if out.exists():
            out.rename(old)
        aside.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_metadata(folder: Path, metadata: BundleMetadata) -> None:
    """Write ``metadata.json`` into the folder of a bundle."""
    write_aside(folder / METADATA_FILE, json.dumps(metadata.to_dict(), indent=2, allow_nan=False) + "\n")
