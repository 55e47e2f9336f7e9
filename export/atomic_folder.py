"""Write a folder of several files so that a reader sees all of it or nothing.

While ``out`` is written, two entries exist beside it: ``.out.lock``, which keeps other writers out, and
``.out.TOKEN.partial``, the new folder. An existing ``out`` is renamed to ``.out.TOKEN.old``, the new folder
to ``out``, and only then the old one is removed. A writer that is killed between the two renames loses
nothing: the next writer renames the old folder back. It also removes what else killed writers left.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import OutputExistsError
from infogan_tool.runtime.storage.atomic import sync_folder, write_atomic
from infogan_tool.runtime.storage.locks import only_writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from infogan_tool.runtime.bundle.metadata import BundleMetadata

__all__ = ["atomic_folder", "only_writer_of", "refuse_taken", "write_metadata"]


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
def atomic_folder(
    out: Path, *, force: bool, mark: str = METADATA_FILE, kind: str = "a bundle"
) -> Iterator[Path]:
    """Give a folder beside ``out`` to fill; put it at ``out`` when the block ends well, else remove it.

    Arguments are those of :func:`refuse_taken`.

    Raises:
        OutputExistsError: As in :func:`refuse_taken`, before the block and again after it.
        InUseError: Another process writes ``out``.
        OSError: It cannot be written.
    """
    refuse_taken(out, force=force, mark=mark, kind=kind)
    target = _in_full(out)
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with only_writer_of(out) as alone:
            if alone:
                _tidy(target)
                refuse_taken(out, force=force, mark=mark, kind=kind)
            with _aside(target) as (aside, old):
                yield aside
                refuse_taken(out, force=force, mark=mark, kind=kind)
                _put(aside, target, old)
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # it was not made, or is no longer empty
                folder.rmdir()
        raise


def only_writer_of(out: Path) -> AbstractContextManager[bool]:
    """Keep other processes from writing the folder ``out`` while the block runs."""
    target = _in_full(out)
    return only_writer(target.with_name(f".{target.name}.lock"), str(out))


def _in_full(out: Path) -> Path:
    return Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link, which is to be replaced


@contextmanager
def _aside(target: Path) -> Iterator[tuple[Path, Path]]:
    """Give a new folder beside ``target`` and a free name, and remove what is at either in the end."""
    token = secrets.token_hex(4)
    aside, old = (target.with_name(f".{target.name}.{token}.{what}") for what in ("partial", "old"))
    aside.mkdir()
    try:
        yield aside, old
    finally:
        _remove(aside)
        if os.path.lexists(target):
            _remove(old)


def _put(aside: Path, target: Path, old: Path) -> None:
    """Put ``aside`` at ``target``; what was there is at ``old`` then."""
    sync_folder(aside)
    if not os.path.lexists(target):
        aside.rename(target)
    else:
        target.rename(old)
        try:
            aside.rename(target)
        except BaseException:
            old.rename(target)
            raise
    sync_folder(target.parent)


def _tidy(target: Path) -> None:
    """Mend what killed writers of ``target`` left; the caller is the only one."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.(partial|old)")
    left = [path for path in target.parent.iterdir() if name.fullmatch(path.name)]
    olds = sorted((path for path in left if path.suffix == ".old"), key=lambda path: path.lstat().st_mtime_ns)
    if olds and not os.path.lexists(target):  # killed between the two renames
        olds[-1].rename(target)
    for path in left:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def write_metadata(folder: Path, metadata: BundleMetadata) -> None:
    """Write ``metadata.json`` into the folder of a bundle."""
    write_atomic(folder / METADATA_FILE, json.dumps(metadata.to_dict(), indent=2, allow_nan=False) + "\n")
