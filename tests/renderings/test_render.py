"""examples/renderings with VTK, on models made here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infogan_tool.train.data import load_images

pytestmark = pytest.mark.renderings

EXAMPLE = Path(__file__).parents[2] / "examples" / "renderings"
# A seat and a back, which is at the rear; the front is at positive z.
CHAIR = b"""
v -1 0 -1
v 1 0 -1
v 1 0 1
v -1 0 1
v -1 2 -1
v 1 2 -1
f 1 2 3 4
f 1 2 6 5
"""


def library(folder: Path) -> Path:
    lines = ["license=CC0"]
    for number in (1, 2):
        values = {"name": "Chair", "model": f"/{number}.obj", "creator": f"A{number}"}
        values |= {"width": "50", "depth": "50", "height": f"{70 * number}"}
        lines += [f"{key}#{number}={value}" for key, value in values.items()]
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.sh3f", "w") as file:
        file.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
        for number in (1, 2):
            file.writestr(f"{number}.obj", CHAIR)
    return folder


def test_a_folder_of_images_with_factors(tmp_path: Path) -> None:
    command = [
        sys.executable,
        EXAMPLE / "render.py",
        "chairs",
        library(tmp_path / "models"),
        "--images",
        "400",
    ]
    for out in ("first", "again"):
        done = subprocess.run(
            [*command, "--out", tmp_path / out], capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
    found = load_images(str(tmp_path / "first"), factors=True)
    assert found.images[:].shape == (400, 1, 32, 32)
    assert found.factors is not None
    assert found.factors.names == ("azimuth", "elevation", "light", "width", "model")
    assert found.factors.levels[4] == ("a/1", "a/2")
    images = found.images[:].numpy()
    assert (images[:, :, 0, 0] == 255).all()  # the background
    assert len(np.unique(images, axis=0)) == 400
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert "by A2; CC0" in (tmp_path / "first" / "ATTRIBUTION.txt").read_text()


def test_what_each_factor_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from meshes import parse_obj  # noqa: PLC0415
    from scene import Scene  # noqa: PLC0415

    scene = Scene(32, 1.0, 6.3)
    scene.show(parse_obj(CHAIR))
    plain = {"azimuth": 0.0, "elevation": 20.0, "light": 0.0, "width": 1.0}

    def image(**changes: float) -> np.ndarray:
        return scene.render(**(plain | changes)).astype(int)

    front = image()
    Image.fromarray(front.astype(np.uint8)).save(tmp_path / "front.png")
    mirrored = front[:, ::-1]
    assert np.abs(front - mirrored).max() <= 2  # symmetric
    assert np.abs(image(azimuth=40) - image(azimuth=-40)[:, ::-1]).max() <= 2
    assert np.abs(image(azimuth=40) - image(azimuth=40)[:, ::-1]).max() > 50
    columns = [(image(width=width) < 255).any(axis=0).sum() for width in (0.75, 1.0, 1.3)]
    assert columns[0] < columns[1] < columns[2]
    # Turned to the left of the image, the back faces a light at the left.
    assert image(azimuth=-60, light=-50).sum() > image(azimuth=-60, light=50).sum()
    # From above one sees more of the seat.
    assert (image(elevation=35) < 255).sum() != (image(elevation=5) < 255).sum()
    np.testing.assert_array_equal(image(), front)  # it depends on nothing before
