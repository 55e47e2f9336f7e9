"""Chairs of furniture libraries of Sweet Home 3D (``.sh3f`` files), and who made them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile, ZipFile

import numpy as np
from meshes import Mesh, parse_obj, read_member

from infogan_tool.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CATALOGUE: Final = "PluginFurnitureCatalog.properties"
_LINE: Final = re.compile(r"\s*(\w+)(?:#(\d+))?\s*=\s*(.*)")
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)")
_MAX_SIDE: Final = 120.0
"""Greatest width and depth of a chair, in centimetres."""
_MATRIX: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One piece of furniture of a catalogue."""

    library: str
    """Name of the file."""
    key: str
    """Name of the model's OBJ file in the library."""
    name: str
    """What it is."""
    creator: str
    """Who made it."""
    licence: str
    """The licence of the library, as its catalogue states it."""
    sides: tuple[float, float, float]
    """Width, height and depth in centimetres."""
    rotation: NDArray[np.float64]
    """``(3, 3)``, which is applied to the points first."""

    @property
    def is_chair(self) -> bool:
        """Whether it is a plain chair: no armchair, stool, folding chair or sofa."""
        return self.name.lower() == "chair" and max(self.sides[0], self.sides[2]) <= _MAX_SIDE


def parse_catalogue(library: str, content: bytes) -> list[Model]:
    """Return the models of a catalogue of properties; entries that lack something are left out.

    Args:
        library: Name of the file that the catalogue is from.
        content: Java properties: a line ``key#number=value`` for each value, Latin-1 with escapes.
    """
    common: dict[str, str] = {}
    entries: dict[str, dict[str, str]] = {}
    for line in content.decode("latin-1").splitlines():
        if line.lstrip().startswith(("#", "!")) or not (found := _LINE.fullmatch(line)):
            continue
        key, number, value = found.groups()
        table = common if number is None else entries.setdefault(number, {})
        table[key] = _printable(_ESCAPE.sub(_unescape, value))
    licence = common.get("license", "")
    models = []
    for entry in entries.values():
        with suppress(KeyError, ValueError):  # not the entry of a model
            models.append(_model(library, licence, entry))
    return models


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else match[2]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:300]


def _model(library: str, licence: str, entry: dict[str, str]) -> Model:
    sides = tuple(float(entry[key]) for key in ("width", "height", "depth"))
    matrix = np.array(entry.get("modelRotation", "1 0 0 0 1 0 0 0 1").split(), dtype=np.float64)
    if not np.isfinite([*sides, *matrix]).all() or min(sides) <= 0 or len(matrix) != _MATRIX:
        raise ValueError
    return Model(
        library=library,
        key=entry["model"].lstrip("/"),
        name=entry["name"],
        creator=entry["creator"],
        licence=licence,
        sides=sides,
        rotation=matrix.reshape(3, 3),
    )


def find_chairs(folder: Path) -> list[Model]:
    """Return the chairs of all libraries in a folder, ordered by library and key.

    Raises:
        DataError: There is none, or a library cannot be read.
    """
    models: list[Model] = []
    for path in sorted(folder.glob("*.sh3f")):
        with _open(path) as archive:
            models += parse_catalogue(path.name, read_member(archive, _CATALOGUE))
    chairs = sorted((m for m in models if m.is_chair), key=lambda m: (m.library, m.key))
    if not chairs:
        raise DataError(
            f"{folder} has no chairs: name the folder of .sh3f files, as /usr/share/sweethome3d/furniture"
        )
    return chairs


def load_chair(folder: Path, model: Model) -> Mesh:
    """Return the mesh of a model at its size in centimetres.

    Raises:
        DataError: It cannot be read.
    """
    with _open(folder / model.library) as archive:
        mesh = parse_obj(read_member(archive, model.key))
    used = np.unique(np.concatenate(mesh.polygons))
    points = mesh.points @ model.rotation.T
    low, high = points[used].min(axis=0), points[used].max(axis=0)
    scale = np.array(model.sides) / np.maximum(high - low, 1e-9)
    return Mesh((points - (low + high) / 2) * scale, mesh.polygons)


def _open(path: Path) -> ZipFile:
    try:
        return ZipFile(path)
    except (OSError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error!s:.200}") from error


def attribution(models: list[Model]) -> str:
    """Return the text that names the author, the library and the licence of each model."""
    lines = [
        "The images in this folder were rendered from these models, which were scaled and turned, without",
        "their colours. They are from the furniture libraries of Sweet Home 3D (Debian package",
        "sweethome3d-furniture). Keep this file with the images.",
        "",
    ]
    lines += [f"- {m.name} ({m.key}, {m.library}) by {m.creator}; {m.licence}" for m in models]
    return "\n".join(lines) + "\n"
