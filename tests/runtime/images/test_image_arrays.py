from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.runtime.errors import ImageError
from infogan_tool.runtime.images.arrays import sheet, to_float, to_uint8
from infogan_tool.runtime.images.spec import ImageSpec

GREY = ImageSpec(size=8, channels=1, low=-1, high=1)
COLOUR = ImageSpec(size=4, channels=3, low=0, high=1)
LEVELS = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255), (-0.5, 2)])
def test_every_uint8_value_survives_the_round_trip(low: float, high: float) -> None:
    spec = ImageSpec(size=2, channels=1, low=low, high=high)
    images = LEVELS.reshape(64, 2, 2, 1)
    floats = to_float(images, spec)
    assert floats.dtype == np.float32
    assert floats.shape == (64, 1, 2, 2)
    np.testing.assert_allclose([floats.min(), floats.max()], [low, high], rtol=1e-6)
    np.testing.assert_array_equal(to_uint8(floats, spec), images)


def test_layouts() -> None:
    rng = np.random.default_rng(0)
    hwc = rng.integers(0, 256, (5, 4, 4, 3), np.uint8)
    floats = to_float(hwc, COLOUR)
    np.testing.assert_allclose(floats[2, 1], hwc[2, :, :, 1] / 255, rtol=1e-6)
    np.testing.assert_array_equal(to_uint8(floats, COLOUR), hwc)
    grey = rng.integers(0, 256, (5, 8, 8), np.uint8)
    np.testing.assert_array_equal(to_float(grey, GREY), to_float(grey[..., None], GREY))
    assert to_float(floats, COLOUR) is floats
    assert to_float(hwc[:0], COLOUR).shape == (0, 3, 4, 4)
    assert to_float(floats[:0], COLOUR).shape == (0, 3, 4, 4)


def test_rounding_is_to_the_nearest_level() -> None:
    values = np.array([0, 0.4, 0.6, 1.4, 254.6, 255]) / 255
    images = np.broadcast_to(values[:, None, None, None], (6, 3, 4, 4)).astype(np.float32)
    assert to_uint8(images, COLOUR)[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 255, 255]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8), np.float32),
        np.zeros((2, 8, 8, 1), np.float32),
        np.zeros((2, 1, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((2, 8, 9), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 1, 8, 8), np.float64),
        np.zeros((2, 8, 8), np.int64),
        np.zeros((2, 8, 8), bool),
        [[0] * 8] * 8,
        None,
    ],
)
def test_no_layout_or_type_is_guessed(images: np.ndarray) -> None:
    with pytest.raises(
        ImageError, match=r"uint8 \(N, 8, 8\) or uint8 \(N, 8, 8, 1\) or float32 \(N, 1, 8, 8\)"
    ):
        to_float(images, GREY)


def test_two_dimensional_images_need_one_channel() -> None:
    with pytest.raises(ImageError, match=r"must be uint8 \(N, 4, 4, 3\) or float32 \(N, 3, 4, 4\)"):
        to_float(np.zeros((2, 4, 4), np.uint8), COLOUR)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.01, 255, -1.01])
def test_floats_out_of_range_are_refused(value: float) -> None:
    images = np.zeros((2, 1, 8, 8), np.float32)
    images[1, 0, 3, 3] = value
    with pytest.raises(ImageError, match="must be finite and from -1 to 1"):
        to_float(images, GREY)
    with pytest.raises(ImageError, match="must be finite and from -1 to 1"):
        to_uint8(images, GREY)


def test_rounding_errors_at_the_ends_are_allowed() -> None:
    images = np.full((1, 1, 8, 8), 1.0005, np.float32)
    assert (to_uint8(images, GREY) == 255).all()


def test_to_uint8_takes_floats_only() -> None:
    with pytest.raises(ImageError, match="float32"):
        to_uint8(np.zeros((2, 8, 8), np.uint8), GREY)  # type: ignore[arg-type]


def test_sheet() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((5, 2, 3, 3), np.uint8)
    paper = sheet(images, 3, gap=1, scale=2)
    assert paper.shape == (2 * 5 + 1, 3 * 7 + 1, 3)
    for index in range(5):
        top, left = 1 + index // 3 * 5, 1 + index % 3 * 7
        assert (paper[top : top + 4, left : left + 6] == index).all()
    assert (paper[6:, 15:] == 255).all()  # the place of the sixth
    assert (paper[0] == 255).all()
    assert (paper == 255).sum() == paper.size - 5 * 24 * 3


def test_sheet_keeps_orientation_and_is_as_narrow_as_its_images() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(sheet(image, 10, gap=0), image[0])
    assert sheet(image, 1, gap=0, scale=2)[:2, :2].tolist() == [[[0], [0]], [[0], [0]]]


@pytest.mark.parametrize(
    ("images", "changes"),
    [
        (np.zeros((0, 2, 2, 1), np.uint8), {}),
        (np.zeros((2, 2, 1), np.uint8), {}),
        (np.zeros((1, 2, 2, 1), np.float32), {}),
        (np.zeros((1, 2, 2, 1), np.uint8), {"columns": 0}),
        (np.zeros((1, 2, 2, 1), np.uint8), {"gap": -1}),
        (np.zeros((1, 2, 2, 1), np.uint8), {"scale": 0}),
    ],
)
def test_sheet_refusals(images: np.ndarray, changes: dict[str, int]) -> None:
    with pytest.raises(ImageError, match="sheet"):
        sheet(images, **{"columns": 1, **changes})
