"""Write a folder of several files so that readers see all of it or nothing.

While ``out`` is written, two entries exist beside it: ``.out.lock``, which keeps other writers out, and
``.out.TOKEN.partial``, the new folder. An existing ``out`` is renamed to ``.out.TOKEN.old``, then the new
folder to ``out``; only then the old one is removed. If a writer is killed between the two renames, the next
writer renames the old folder back. It also removes what else killed writers left.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from infogan_tool.runtime.bundle.metadata import GENERATOR_FILE, METADATA_FILE
from infogan_tool.runtime.errors import OutputExistsError
from infogan_tool.runtime.storage.atomic import sync_folder, write_atomic
from infogan_tool.runtime.storage.locks import only_writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from infogan_tool.runtime.bundle.metadata import BundleMetadata


def refuse_taken(out: Path, *, force: bool, mark: str = GENERATOR_FILE, kind: str = "a bundle") -> None:
    """Refuse an existing folder, unless ``force`` is set and it may be replaced.

    Args:
        out: The folder to write.
        force: Replace it if it is empty or contains a file that matches ``mark``.
        mark: A glob pattern, relative to ``out``, of a file that every folder of this kind contains and that
            folders of other kinds do not contain.
        kind: The kind's name for the message.

    Raises:
        OutputExistsError: It exists and must not be replaced.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not force:
        raise OutputExistsError(out)
    if not out.is_dir() or (any(out.iterdir()) and not any(file.is_file() for file in out.glob(mark))):
        raise OutputExistsError(out, f"it is not {kind}, so --force does not replace it; choose another path")


@contextmanager
def atomic_folder(
    out: Path, *, force: bool, mark: str = GENERATOR_FILE, kind: str = "a bundle"
) -> Iterator[Path]:
    """Yield a new folder beside ``out`` to fill; rename it to ``out`` if the block succeeds, else remove it.

    The arguments are those of :func:`refuse_taken`.

    Raises:
        OutputExistsError: As in :func:`refuse_taken`, before the block and again after it.
        InUseError: Another process writes ``out``.
        OSError: It cannot be written.
    """
    check = partial(refuse_taken, out, force=force, mark=mark, kind=kind)
    check()
    target = _absolute(out)
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with only_writer_of(out) as locked:
            if locked:
                _recover(target)
                check()
            token = secrets.token_hex(4)
            new, old = (target.with_name(f".{target.name}.{token}.{end}") for end in ("partial", "old"))
            new.mkdir()
            try:
                yield new
                check()
                _replace(target, new, old)
            finally:
                _remove(new)
                if os.path.lexists(target):
                    _remove(old)
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # it was not made, or is no longer empty
                folder.rmdir()
        raise


def only_writer_of(out: Path) -> AbstractContextManager[bool]:
    """Lock the folder ``out`` against other writing processes for the block; see :func:`only_writer`."""
    target = _absolute(out)
    return only_writer(target.with_name(f".{target.name}.lock"), str(out))


def _absolute(out: Path) -> Path:
    return Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link, which is to be replaced


def _replace(target: Path, new: Path, old: Path) -> None:
    """Rename ``target`` to ``old`` if it exists, and ``new`` to ``target``."""
    sync_folder(new)
    replaces = os.path.lexists(target)
    if replaces:
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if replaces:
            old.rename(target)
        raise
    sync_folder(target.parent)


def _recover(target: Path) -> None:
    """Restore or remove what killed writers of ``target`` left; the caller must be the only writer."""
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
