"""Folders and patterns to file names: sorted, without hidden ones, circular links followed once."""

from __future__ import annotations

import glob
import os
import re
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.images.formats import CONTAINER_SUFFIXES, IMAGE_SUFFIXES
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RECURSIVE: Final = "**"


def walk(folder: str, is_wanted: Callable[[str], bool]) -> Iterator[str | Failed]:
    """Yield the files at any depth below ``folder``, in the order of the names.

    Hidden files and folders are skipped, and so are links to a folder that contains them or that another link
    leads to, so the walk ends.

    Args:
        folder: An existing folder.
        is_wanted: Whether to yield the file of this path.

    Yields:
        A path, or a folder that could not be listed.
    """
    linked: set[_FolderId] = set()
    # A stack, not recursion: folders may be nested deeper than Python's calls.
    open_folders = [_entries(folder, frozenset(), linked)]
    while open_folders:
        for found in open_folders[-1]:
            if isinstance(found, Failed):
                yield found
            elif isinstance(found, tuple):
                open_folders.append(_entries(*found, linked))
                break
            elif is_wanted(found):
                yield found
        else:
            open_folders.pop()


_FolderId = tuple[int, int]
"""Device and inode of a folder."""


def _entries(
    folder: str, above: frozenset[_FolderId], linked: set[_FolderId]
) -> Iterator[str | Failed | tuple[str, frozenset[_FolderId]]]:
    """Yield paths of files, and folders to walk with the folders that contain them."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - the path as the user gave it, which need not be Unicode
        here = (status.st_dev, status.st_ino)
        is_link = bool(above) and os.path.islink(folder)  # noqa: PTH114
        if here in above or (is_link and here in linked):
            return
        with os.scandir(folder) as entries:
            found = {e.name: _is_folder(e) for e in entries if not e.name.startswith(".")}
    except OSError as error:
        yield Failed(folder, f"{printable(folder)}: {error.strerror or error}")
        return
    if is_link:
        linked.add(here)
    start, within = os.path.join(folder, ""), above | {here}  # noqa: PTH118
    for name in sorted(found):
        yield (start + name, within) if found[name] else start + name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; the reader reports it
        return False


def is_pattern(argument: str) -> bool:
    """Return whether an argument is a pattern (``*``, ``?``, ``[``, ``**``) and not an existing file."""
    return glob.has_magic(argument) and not os.path.lexists(argument)


def match(pattern: str) -> Iterator[str | Failed]:
    """Yield the files that match a pattern, sorted; ``**`` matches folders at any depth.

    Hidden files are skipped. If the last part of the pattern has only wildcards, files without the suffix of
    an image or container are skipped too.
    """
    if os.sep == "\\":
        pattern = pattern.replace("\\", "/")
    last = pattern.rpartition("/")[2]
    anything = not last.strip("*?")
    known = (*IMAGE_SUFFIXES, *CONTAINER_SUFFIXES)

    def is_wanted(path: str) -> bool:
        return not anything or path.lower().endswith(known)

    if _RECURSIVE not in pattern.split("/"):
        names = sorted(glob.iglob(pattern))  # noqa: PTH207 - Path would lose a leading ./
        yield from (name for name in names if is_wanted(name) and not os.path.isdir(name))  # noqa: PTH112
        return
    parts = pattern.split("/")
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    base = "/".join(parts[:first])
    shapes = [part if part == _RECURSIVE else re.compile(translate(part)) for part in parts[first:]]
    root = base or ("/" if pattern.startswith("/") else ".")
    length = len(root.rstrip("/")) + 1
    for path in walk(root, is_wanted):
        if isinstance(path, Failed):
            yield path
        elif _matches(path[length:].replace(os.sep, "/").split("/"), shapes):
            yield path if base or root == "/" else path[2:]


def _matches(names: list[str], shapes: list[str | re.Pattern[str]]) -> bool:
    """Return whether the parts of a path match those of a pattern; ``**`` matches any number of parts."""
    if not shapes:
        return not names
    head, *rest = shapes
    if isinstance(head, str):
        if not rest:
            return bool(names)
        return any(_matches(names[place:], rest) for place in range(len(names)))
    return bool(names) and head.match(names[0]) is not None and _matches(names[1:], rest)
