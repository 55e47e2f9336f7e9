"""Folders and patterns to names of files: sorted, hidden ones passed over, circular links walked once."""

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

__all__ = ["is_pattern", "match", "walk"]

_RECURSIVE: Final = "**"


def walk(folder: str, is_wanted: Callable[[str], bool]) -> Iterator[str | Failed]:
    """Yield the files at any depth below ``folder``, in the order of the names.

    Hidden files and folders are passed over, and so is a link to a folder that it is in itself, or that
    another link has led to: links cannot make a small folder an endless one.

    Args:
        folder: An existing folder.
        is_wanted: Whether a file of this path is to be yielded.

    Yields:
        A path, or why a folder could not be listed.
    """
    linked: set[_Place] = set()
    # Folders lie deeper in each other than Python's calls may.
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


_Place = tuple[int, int]
"""Device and number of a folder, whatever it is called."""


def _entries(
    folder: str, above: frozenset[_Place], linked: set[_Place]
) -> Iterator[str | Failed | tuple[str, frozenset[_Place]]]:
    """Yield what is in a folder: paths of files, and folders to walk with those that they are in."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - a path as the user wrote it, which need not be text
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
    except OSError:  # a link to itself, of which the reader says so
        return False


def is_pattern(argument: str) -> bool:
    """Say whether an argument that names nothing that is there is a pattern (``*``, ``?``, ``[``, ``**``)."""
    return glob.has_magic(argument) and not os.path.lexists(argument)


def match(pattern: str) -> Iterator[str | Failed]:
    """Yield the files that match a pattern, sorted; ``**`` stands for folders at any depth.

    What is hidden is passed over. Where the pattern's last part is nothing but wildcards, so are files that
    are not named as images or containers.
    """
    last = re.split(r"[\\/]", pattern)[-1] if os.sep == "\\" else pattern.rpartition("/")[2]
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
        elif _fits(path[length:].split("/"), shapes):
            yield path if base or root == "/" else path[2:]


def _fits(names: list[str], shapes: list[str | re.Pattern[str]]) -> bool:
    """Say whether the parts of a path match those of a pattern; ``**`` takes any number, and none."""
    if not shapes:
        return not names
    head, *rest = shapes
    if isinstance(head, str):
        if not rest:
            return bool(names)
        return any(_fits(names[place:], rest) for place in range(len(names)))
    return bool(names) and head.match(names[0]) is not None and _fits(names[1:], rest)
