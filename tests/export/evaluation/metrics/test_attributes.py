"""Attributes of images that were drawn with known ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from evaluation_stubs import as_bytes, bars

from infogan_tool.export.evaluation.metrics.attributes import ATTRIBUTES, ink, measure_attributes
from infogan_tool.export.evaluation.metrics.correlation import within_groups
from infogan_tool.export.evaluation.metrics.naming import INDEPENDENT
from infogan_tool.train.data import load_test_images


@pytest.mark.parametrize("slant", [-30.0, -10.0, 0.0, 20.0, 40.0])
def test_slant_is_positive_to_the_right(slant: float) -> None:
    found = measure_attributes(as_bytes(bars(slant, 3, 16, size=32)))
    assert found["slant"][0] == pytest.approx(slant, abs=1)


@pytest.mark.parametrize("width", [2.0, 2.5, 3.0, 4.0, 6.0])
def test_stroke_width_of_a_long_bar(width: float) -> None:
    found = measure_attributes(as_bytes(bars(0, width, 24, size=32)))
    assert found["stroke_width"][0] == pytest.approx(width, abs=0.5)


def test_a_stroke_of_one_row_does_not_lean() -> None:
    images = np.zeros((3, 28, 28, 1), np.uint8)
    for image, row in zip(images, (7, 14, 20), strict=True):
        image[row, 4:24, 0] = np.linspace(60, 255, 20)
    assert measure_attributes(images)["slant"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("slant", [15.0, 30.0, 45.0])
def test_stroke_width_hardly_depends_on_slant(slant: float) -> None:
    # A bar of horizontal width w that leans by a is w cos(a) across, and h / cos(a) long.
    shrink = np.cos(np.radians(slant))
    upright, leaning = (
        measure_attributes(as_bytes(bars(a, 3 / f, 20 * f, size=32)))["stroke_width"][0]
        for a, f in ((0, 1.0), (slant, shrink))
    )
    assert leaning == pytest.approx(upright, abs=0.25)


def test_width_height_aspect_area_and_intensity_of_a_rectangle() -> None:
    found = measure_attributes(as_bytes(bars(0, 6, 10)))
    assert found["width"][0] == pytest.approx(6)
    assert found["height"][0] == pytest.approx(10)
    assert found["aspect"][0] == pytest.approx(0.6)
    assert found["area"][0] == 60
    assert found["intensity"][0] == pytest.approx(60)


def test_sizes_are_finer_than_a_pixel_and_do_not_depend_on_contrast() -> None:
    drawn = as_bytes(bars(0, 5.0, 8.0, centre=(0.5, 0.0)))
    faint = as_bytes(bars(0, 5.0, 8.0, centre=(0.5, 0.0)) * 0.5)
    sharp, soft = measure_attributes(drawn), measure_attributes(faint)
    for name in ("slant", "stroke_width", "width", "height", "centre_x", "centre_y", "aspect", "area"):
        assert soft[name][0] == pytest.approx(sharp[name][0], abs=0.05), name
    assert soft["intensity"][0] == pytest.approx(sharp["intensity"][0] / 2, rel=0.02)
    assert measure_attributes(as_bytes(bars(0, 5.5, 8)))["width"][0] == pytest.approx(5.5, abs=0.51)


def test_centre_is_right_and_up() -> None:
    found = measure_attributes(as_bytes(bars(0, 4, 6, centre=(3, 5))))
    assert found["centre_x"][0] == pytest.approx(3)
    assert found["centre_y"][0] == pytest.approx(5)


def test_empty_images_have_no_shape_and_no_warning() -> None:
    images = np.zeros((3, 16, 16, 1), np.uint8)
    images[1] += 200  # all of one grey: no ink either
    images[2, 8, 8] = 10  # too faint to be ink
    found = measure_attributes(images)
    assert set(found) == set(ATTRIBUTES)
    for name in ATTRIBUTES:
        if name in ("area", "intensity"):
            assert found[name].tolist() == [0, 0, 0]
        else:
            assert np.isnan(found[name]).all(), name


def test_a_single_pixel_and_a_full_image_are_finite() -> None:
    images = np.zeros((2, 16, 16, 1), np.uint8)
    images[0, 3, 4] = 255
    images[1, 1:-1, 1:-1] = 255
    found = measure_attributes(images)
    for name in ATTRIBUTES:
        assert np.isfinite(found[name]).all(), name
    assert found["slant"][0] == pytest.approx(0, abs=1e-6)


def test_no_images() -> None:
    found = measure_attributes(np.empty((0, 16, 16, 1), np.uint8))
    assert all(len(values) == 0 for values in found.values())


def test_dark_on_light_is_the_same_as_light_on_dark() -> None:
    drawn = as_bytes(bars([10, -20], 3, 12))
    light, dark = measure_attributes(drawn), measure_attributes(255 - drawn)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(dark[name], light[name], atol=1e-4, err_msg=name)


def test_colour_is_weighed_by_luma() -> None:
    green = np.zeros((1, 8, 8, 3), np.uint8)
    green[0, 3:5, 3:5, 1] = 255
    assert ink(green).max() == pytest.approx(0.587)
    assert measure_attributes(green)["intensity"][0] == pytest.approx(4 * 0.587, rel=1e-5)
    grey = as_bytes(bars(15, 3, 12))
    same = measure_attributes(grey.repeat(3, axis=3))
    for name, values in measure_attributes(grey).items():
        np.testing.assert_allclose(same[name], values, atol=1e-3, err_msg=name)


def test_an_image_does_not_depend_on_those_measured_with_it() -> None:
    drawn = as_bytes(bars([0, 20, -30, 5], [2, 3, 4, 5], 12))
    together = measure_attributes(drawn)
    for row in range(4):
        alone = measure_attributes(drawn[row : row + 1])
        for name in ATTRIBUTES:
            assert alone[name][0] == pytest.approx(together[name][row]), name


def test_what_is_called_independent_is_so_on_real_digits() -> None:
    test = load_test_images("mnist")
    labels = test.labels[:2000].numpy()
    found = measure_attributes(test.images[:2000].permute(0, 2, 3, 1).numpy())

    def together(first: str, second: str) -> float:
        return abs(within_groups(found[first], found[second], labels))

    for first, second in combinations(INDEPENDENT, 2):
        assert together(first, second) < 0.3, (first, second)
    assert together("area", "stroke_width") == pytest.approx(0.86, abs=0.05)
    assert together("area", "width") == pytest.approx(0.51, abs=0.05)
    assert together("area", "intensity") > 0.95
    assert together("aspect", "width") > 0.9
