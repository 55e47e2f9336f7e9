"""``factors.csv``: the known factors of a folder of images, for evaluation.

The first line names the columns: ``path`` and one for each factor. Every further line has the path of an
image, relative to the folder and with ``/``, and its values. A column of numbers is an ordered factor; more
than 50 different numbers are cut into 20 levels with about as many images each. Any other column is a factor
of categories, at most 100. The file may be by anybody: it is limited to 64 MB and checked as a whole.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.storage.atomic import printable, read_limited
from infogan_tool.train.data.factors import Factors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FACTORS_FILE: Final = "factors.csv"
_MAX_BYTES: Final = 64_000_000
_MAX_FACTORS: Final = 50
_MAX_NAME: Final = 50
_MAX_CATEGORIES: Final = 100
_MAX_NUMBERS: Final = 50
_BINS: Final = 20
_MIN_IMAGES: Final = 10
_MIN_SHARE: Final = 0.005
"""A factor varies if two of its levels have this many images, and this share of them."""


def read_factors(folder: Path, images: Sequence[Path]) -> Factors | None:
    """Read the factors of images from the file in their folder.

    Args:
        folder: The folder of ``factors.csv``.
        images: Paths of images below it. The file may have further ones that exist.

    Returns:
        The factors of these images, in their order; None if there is no such file.

    Raises:
        DataError: The file is not as described above, has no line for one of the images, has a line for an
            image that does not exist, or has a factor that does not vary. The message names the line.
    """
    path = folder / FACTORS_FILE
    try:
        content = read_limited(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(path)} cannot be read: {error}") from error
    try:
        names, rows = _parse(content)
        order, values = _order(folder, rows, images), list(rows.values())
        columns = [[values[row][column] for row in order] for column in range(len(names))]
        levels, indices = zip(*(_levels(*pair) for pair in zip(names, columns, strict=True)), strict=True)
    except _FileError as error:
        raise DataError(f"{printable(path)}: {error}") from error
    return Factors(
        names=tuple(names), levels=tuple(levels), values=torch.from_numpy(np.stack(indices, axis=1))
    )


class _FileError(ValueError):
    """What is wrong, without the path of the file."""


def _parse(content: bytes) -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of the factors, and the values of each path."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _FileError(f"line {line} is not UTF-8: save the file as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        names = _check_header(header)
        at, rows = header.index("path"), dict[str, list[str]]()
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise _FileError(f"line {reader.line_num} has {len(row)} values for {len(header)} columns")
            key = row.pop(at).strip()
            if key in rows:
                raise _FileError(f"line {reader.line_num} repeats {printable(key, 80)}")
            rows[key] = [value.strip() for value in row]
            if "" in rows[key]:
                raise _FileError(f"line {reader.line_num} has no {printable(names[rows[key].index('')])}")
    except csv.Error as error:
        raise _FileError(f"line {reader.line_num} is not CSV: {error}") from error
    return names, rows


def _check_header(header: list[str]) -> list[str]:
    names = [name for name in header if name != "path"]
    if len(names) != len(header) - 1:
        raise _FileError("the first line must name one column path and the factors, as in path,width,colour")
    if not 1 <= len(names) <= _MAX_FACTORS:
        raise _FileError(f"there must be 1 to {_MAX_FACTORS} factors, not {len(names)}")
    for name in names:
        if not name or not name.isprintable() or len(name) > _MAX_NAME:
            raise _FileError(
                f"'{printable(name, 60)}' is no name for a factor: use 1 to {_MAX_NAME} printable characters"
            )
    if len(set(names)) < len(names):
        raise _FileError("two factors have the same name")
    return names


def _order(folder: Path, rows: dict[str, list[str]], images: Sequence[Path]) -> list[int]:
    """Return the row of each image."""
    places = {key: row for row, key in enumerate(rows)}
    wanted = [image.relative_to(folder).as_posix() for image in images]
    missing = [key for key in wanted if key not in places]
    if missing:
        raise _FileError(
            f"{len(missing):,} of {len(wanted):,} images have no line, such as {printable(missing[0], 80)}"
        )
    for key in places.keys() - set(wanted):
        if not _is_file_below(folder, key):
            raise _FileError(f"there is no image {printable(key, 80)}, which has a line")
    return [places[key] for key in wanted]


def _is_file_below(folder: Path, key: str) -> bool:
    try:
        return ".." not in key.split("/") and not key.startswith("/") and (folder / key).is_file()
    except (OSError, ValueError):  # too long, or with a null character
        return False


def _levels(name: str, column: list[str]) -> tuple[tuple[str | float, ...], NDArray[np.int64]]:
    """Return the levels of a factor, and that of each image."""
    numbers = _numbers(name, column)
    if numbers is not None and len(np.unique(numbers)) > _MAX_NUMBERS:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1]))
        index = np.unique(np.digitize(numbers, edges), return_inverse=True)[1]
        sums = np.bincount(index, numbers) / np.bincount(index)
        levels: tuple[str | float, ...] = tuple(sums.tolist())
    else:
        found, index = np.unique(np.array(column) if numbers is None else numbers, return_inverse=True)
        levels = tuple(found.tolist())
    if len(levels) > _MAX_CATEGORIES:
        raise _FileError(
            f"factor {name} has {len(levels):,} different texts, more than {_MAX_CATEGORIES}: leave it out"
        )
    needed = max(_MIN_IMAGES, round(_MIN_SHARE * len(index)))
    if (np.bincount(index) >= needed).sum() < 2:  # noqa: PLR2004 - a factor varies
        raise _FileError(
            f"factor {name} does not vary: two values need {needed} images each, or leave it out"
        )
    return levels, np.asarray(index, np.int64)


def _numbers(name: str, column: list[str]) -> NDArray[np.float64] | None:
    """Return a column of numbers; None if one of its values is text."""
    try:
        numbers = np.array([float(value) for value in column])
    except ValueError:
        return None
    if not np.isfinite(numbers).all():
        raise _FileError(f"factor {name} has a number that is not finite")
    return numbers
