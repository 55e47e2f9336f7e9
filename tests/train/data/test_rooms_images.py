"""The data set ``rooms``."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from infogan_tool.train.data import ImageSet, load_images, load_test_images
from infogan_tool.train.data.rooms import HUES, SCALES, SHAPES

SIZES = (10, 10, 10, 8, 4, 15)
RED_FLOOR = {"floor": 0, "wall": 5, "object": 2, "scale": 4, "shape": 0, "orientation": 7}


@pytest.fixture(scope="module")
def rooms() -> ImageSet:
    return load_images("rooms")


def image(rooms: ImageSet, **levels: int) -> np.ndarray:
    """Return one image ``(64, 64, 3)``, with these levels in place of those of RED_FLOOR."""
    index = np.ravel_multi_index(tuple({**RED_FLOOR, **levels}.values()), SIZES)
    return rooms.images[torch.tensor([index])][0].permute(1, 2, 0).numpy().astype(int)


def test_factors(rooms: ImageSet) -> None:
    factors = rooms.factors
    assert factors is not None
    assert factors.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert factors.sizes == SIZES
    assert len(rooms) == 480_000
    assert rooms.images.shape == (480_000, 3, 64, 64)
    assert rooms.label_names == SHAPES
    assert rooms.labels is not None
    assert rooms.labels[:60].tolist() == [k for k in range(4) for _ in range(15)]
    assert load_test_images("rooms") is None
    grey = load_images("rooms", size=32, channels=1)
    assert grey.images[torch.tensor([7, 8])].shape == (2, 1, 32, 32)


def test_hues_colour_their_material_alone(rooms: ImageSet) -> None:
    before = image(rooms)
    changed = {
        name: (image(rooms, **{name: 8}) != before).any(axis=2) for name in ("floor", "wall", "object")
    }
    # Only pixels at the border of two materials change with both.
    assert (changed["floor"] & changed["object"]).mean() < 0.03
    assert (changed["floor"] & changed["wall"]).mean() < 0.03
    assert (changed["floor"] | changed["wall"] | changed["object"]).all()
    for (row, column), material in (((60, 3), "floor"), ((3, 20), "wall"), ((36, 32), "object")):
        assert changed[material][row, column]
        for level, hue in enumerate(HUES):
            colour = image(rooms, **{material: level})[row, column] / 255
            np.testing.assert_allclose(colorsys.rgb_to_hsv(*colour)[0], hue, atol=0.01)


def test_every_level_of_the_geometry_is_visible(rooms: ImageSet) -> None:
    for name, count in (("scale", 8), ("shape", 4), ("orientation", 15)):
        views = [image(rooms, **{name: level}) for level in range(count)]
        different = [np.abs(a - b).max() for i, a in enumerate(views) for b in views[:i]]
        assert min(different) > 40, name


def test_scale_and_camera_are_as_documented(rooms: ImageSet) -> None:
    sphere = SHAPES.index("sphere")

    def silhouette(scale: int, orientation: int = 7) -> np.ndarray:
        views = (
            image(rooms, object=hue, scale=scale, shape=sphere, orientation=orientation) for hue in (0, 5)
        )
        first, second = views
        return np.asarray((first != second).any(axis=2))

    widths = [silhouette(scale).any(axis=0).sum() for scale in range(8)]
    assert widths == sorted(widths)
    # In the middle of the image, from wherever the camera looks. The nearer half of a larger ball is nearer.
    for orientation in (0, 7, 14):
        columns = np.flatnonzero(silhouette(3, orientation).any(axis=0))
        assert columns.mean() == pytest.approx(31.5, abs=0.6)
    assert widths[-1] / widths[0] > SCALES[-1] / SCALES[0]
