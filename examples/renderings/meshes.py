"""Meshes of OBJ text, and members of archives that may be by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from infogan_tool.runtime.errors import DataError

if TYPE_CHECKING:
    from zipfile import ZipFile

    from numpy.typing import NDArray

MAX_MEMBER_BYTES: Final = 100_000_000
"""Greatest size of a member of an archive, unpacked."""
_TRIANGLE: Final = 3


@dataclass(frozen=True, slots=True)
class Mesh:
    """Points and the polygons between them."""

    points: NDArray[np.float64]
    """``(N, 3)``; y is up."""
    polygons: list[NDArray[np.int64]]
    """Indices of the points of each polygon, three or more."""


def read_member(archive: ZipFile, name: str) -> bytes:
    """Return the content of a member of an archive.

    Raises:
        DataError: There is no such member, it is larger than :data:`MAX_MEMBER_BYTES`, or damaged.
    """
    try:
        with archive.open(name) as member:
            content = member.read(MAX_MEMBER_BYTES + 1)
    except KeyError:
        raise DataError(f"{name!r:.80} is missing") from None
    except Exception as error:  # zipfile and zlib raise many kinds for damaged archives
        raise DataError(f"{name!r:.80} cannot be read: {error!s:.200}") from error
    if len(content) > MAX_MEMBER_BYTES:
        raise DataError(f"{name!r:.80} is larger than {MAX_MEMBER_BYTES:,} bytes")
    return content


def parse_obj(content: bytes, groups: frozenset[str] | None = None) -> Mesh:
    """Return the points and polygons of OBJ text.

    Materials, normals, texture coordinates and polygons of fewer than three points are ignored.

    Args:
        content: The text.
        groups: Names of the groups whose polygons are wanted. None: all.

    Raises:
        DataError: A number or an index is not possible, or there is no polygon. The message has the line.
    """
    points: list[list[float]] = []
    polygons: list[NDArray[np.int64]] = []
    wanted = groups is None
    for number, line in enumerate(content.split(b"\n"), start=1):
        keyword, *fields = line.split() or [b""]
        try:
            if keyword == b"v":
                x, y, z = fields[:3]
                points.append([float(x), float(y), float(z)])
            elif keyword == b"f" and wanted:
                indices = np.array([int(field.split(b"/")[0]) for field in fields])
                indices = np.where(indices < 0, indices + len(points), indices - 1)
                if not len(indices) or indices.min() < 0 or indices.max() >= len(points):
                    raise ValueError  # noqa: TRY301
                if len(indices) >= _TRIANGLE:
                    polygons.append(indices)
            elif keyword == b"g" and groups is not None:
                wanted = b" ".join(fields).decode("utf-8", "replace") in groups
        except (ValueError, OverflowError):
            raise DataError(f"line {number} is no OBJ: {line[:60]!r}") from None
    array = np.array(points, dtype=np.float64).reshape(-1, 3)
    if not polygons or not np.isfinite(array).all():
        raise DataError("the OBJ text has no polygons, or a point that is not finite")
    return Mesh(array, polygons)
