"""Scale, stroke and position of synthetic objects."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from infogan_tool.runtime.preprocessing.centred_foreground import apply_preprocessing, stroke_width
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    import numpy.typing as npt

    Grey = npt.NDArray[np.uint8]

PREPROCESSING = Preprocessing(box=20, centre="mass", ink="light", stroke=0.0)


def page(*blocks: tuple[int, int, int, int], size: tuple[int, int] = (300, 300)) -> Image.Image:
    """White with black blocks, each by top, left, height and width; ``size`` is height and width."""
    values = np.full(size, 255, np.uint8)
    for top, left, height, width in blocks:
        values[top : top + height, left : left + width] = 0
    return Image.fromarray(values)


def pen(points: list[tuple[int, int]], width: int, size: tuple[int, int] = (400, 400)) -> Image.Image:
    drawn = Image.new("L", size, 255)
    ImageDraw.Draw(drawn).line(points, fill=0, width=width, joint="curve")
    return drawn


def preprocessed(image: Image.Image, size: int = 28, **changes: object) -> Grey:
    preprocessing = dataclasses.replace(PREPROCESSING, **changes)  # type: ignore[arg-type]
    found = apply_preprocessing(image, size, preprocessing)
    assert found is not None
    assert (found.shape, found.dtype) == ((size, size), np.uint8)
    return found


def extent(values: Grey, above: int = 60) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is brighter."""
    rows, columns = np.flatnonzero((values > above).any(1)), np.flatnonzero((values > above).any(0))
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


NINE = [(150, 120), (250, 110), (260, 200), (160, 210), (150, 120)]
SEVEN = [(120, 100), (280, 110), (180, 320)]


# --- size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centre", ["mass", "box"])
@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ((50, 90, 80, 40), (4, 9, 20, 10)),
        ((50, 90, 40, 80), (9, 4, 10, 20)),
        ((10, 15, 60, 60), (4, 4, 20, 20)),
        ((200, 200, 60, 30), (4, 9, 20, 10)),
        ((200, 150, 36, 90), (10, 4, 8, 20)),
        ((200, 190, 10, 5), (4, 9, 20, 10)),  # made larger
        ((20, 190, 200, 4), (4, 14, 20, 1)),  # never thinner than a pixel
    ],
)
def test_the_longer_side_fills_the_box_and_the_aspect_stays(
    block: tuple[int, int, int, int], expected: tuple[int, int, int, int], centre: str
) -> None:
    values = preprocessed(page(block), centre=centre)
    top, left, height, width = extent(values)
    assert (height, width) == expected[2:]
    assert abs(top - expected[0]) <= 1
    assert abs(left - expected[1]) <= 1
    assert values.max() == 255
    assert np.count_nonzero(values[top : top + height, left : left + width] < 128) <= 2 * max(height, width)


@pytest.mark.parametrize(("box", "size"), [(20, 28), (12, 28), (28, 28), (50, 64), (5, 9)])
def test_box_and_image_have_the_declared_sizes(box: int, size: int) -> None:
    values = preprocessed(page((40, 40, 120, 90)), size, box=box, centre="box")
    top, left, height, width = extent(values)
    assert (height, width) == (box, round(box * 0.75))
    assert abs(2 * top + height - size) <= 1
    assert abs(2 * left + width - size) <= 1


@pytest.mark.parametrize("scale", [1, 2, 5])
def test_the_size_of_the_photograph_does_not_matter(scale: int) -> None:
    small = preprocessed(pen(SEVEN, 24), 56, box=40, centre="box")
    drawn = pen([(scale * x, scale * y) for x, y in SEVEN], 24 * scale, (400 * scale, 400 * scale))
    large = preprocessed(drawn, 56, box=40, centre="box")
    assert np.abs(large.astype(int) - small).mean() < 4


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_strip(*, turned: bool) -> None:
    strip = np.full((30, 2400), 255, np.uint8)
    strip[9:21, 1200:1260] = 0
    values = preprocessed(Image.fromarray(strip.T if turned else strip))
    height, width = extent(values)[2:]
    assert (width, height)[turned] == 20
    assert 3 <= (height, width)[turned] <= 5


def test_a_strip_of_one_row_is_no_error() -> None:
    strip = np.full((1, 2000), 255, np.uint8)
    strip[:, 900:1100] = 0
    for image in (strip, strip.T):
        assert apply_preprocessing(Image.fromarray(image), 28, PREPROCESSING) is not None


# --- ink ---------------------------------------------------------------------------------------------------


def test_ink_is_full_and_the_background_is_empty() -> None:
    for width in (4, 8, 24):
        values = preprocessed(pen(SEVEN, width), centre="box")
        assert values.max() == 255
        assert np.count_nonzero(values == 255) > 0.15 * np.count_nonzero(values > 25)
        ground = values.copy()
        ground[4:24, 4:24] = 0
        assert ground.max() == 0


def test_faint_and_strong_ink_are_preprocessed_alike() -> None:
    strong = preprocessed(pen(SEVEN, 24))
    faint = preprocessed(pen(SEVEN, 24).point([200 + v * 40 // 255 for v in range(256)]))
    assert np.abs(faint.astype(int) - strong).max() <= 12


def test_dark_ink_is_the_negative() -> None:
    np.testing.assert_array_equal(
        preprocessed(pen(SEVEN, 24), ink="dark"), 255 - preprocessed(pen(SEVEN, 24))
    )


# --- stroke ------------------------------------------------------------------------------------------------


def disc(radius: int) -> npt.NDArray[np.float32]:
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (np.hypot(down, right) <= radius).astype(np.float32)


def test_width_of_a_stroke_is_twice_the_area_by_the_outline() -> None:
    block = np.zeros((40, 60), np.float32)
    block[5:9, 10:50] = 0.5
    assert stroke_width(block) == pytest.approx(2 * 4 * 40 / (2 * (4 + 40) * np.pi / 4))
    assert stroke_width(block.T) == stroke_width(block)
    assert stroke_width(block[5:9, 10:50]) == stroke_width(block), "the edge of the image is outline too"
    assert stroke_width(0.99 * block) == 0, "half of the ink's strength is the outline"
    assert stroke_width(disc(40)) == pytest.approx(40, rel=0.03), "of a disc it is the radius"
    slanted = np.asarray(pen([(50, 60), (350, 250)], 12)) < 128
    assert stroke_width(slanted.astype(np.float32)) == pytest.approx(12, rel=0.2)


@pytest.mark.parametrize("points", [NINE, SEVEN], ids=["nine", "seven"])
@pytest.mark.parametrize("stroke", [1.5, 2.0, 3.0, 4.0])
def test_a_thin_pen_is_thickened_to_the_declared_stroke(points: list[tuple[int, int]], stroke: float) -> None:
    for width in (2, 5):
        values = preprocessed(pen(points, width), 84, box=60, stroke=stroke * 3)
        assert stroke_width(values / np.float32(255)) == pytest.approx(stroke * 3, rel=0.15)
        assert max(extent(values)[2:]) == 60, "what is thickened fills the box too"


@pytest.mark.parametrize("stroke", [1.5, 2.0, 3.0])
def test_a_broad_pen_is_left_as_it_is(stroke: float) -> None:
    np.testing.assert_array_equal(preprocessed(pen(SEVEN, 60), stroke=stroke), preprocessed(pen(SEVEN, 60)))


def test_a_stroke_is_thickened_evenly_on_all_sides() -> None:
    drawn = np.full((301, 301), 255, np.uint8)
    drawn[149:152, 60:241] = drawn[60:241, 149:152] = 0  # a cross
    values = preprocessed(Image.fromarray(drawn), 85, box=61, centre="box", stroke=8)
    top, left, height, width = extent(values, 20)
    cross = values[top : top + height, left : left + width].astype(int)
    for turned in (cross.T, cross[::-1], cross[:, ::-1]):
        assert np.abs(turned - cross).max() <= 8
    assert cross[0, width // 2] > 60 > cross[0, width // 2 - 6], "its ends are round"


# --- place -------------------------------------------------------------------------------------------------

TEE = ((40, 40, 20, 160), (60, 110, 200, 20))
ELL = ((40, 40, 200, 20), (220, 60, 20, 120))


@pytest.mark.parametrize("blocks", [TEE, ELL], ids=["tee", "ell"])
@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("size", [28, 41])
def test_centre_of_mass_lies_in_the_middle(
    blocks: tuple[tuple[int, int, int, int], ...], turned: int, size: int
) -> None:
    image = page(*blocks).rotate(90 * turned)
    values = preprocessed(image, size).astype(float)
    for mass in (values.sum(0), values.sum(1)):
        assert mass @ np.arange(size) / mass.sum() == pytest.approx(size / 2, abs=0.51)
    boxed = extent(preprocessed(image, size, centre="box"))
    assert extent(preprocessed(image, size)) != boxed, "the two centres differ"
    assert abs(2 * boxed[0] + boxed[2] - size) <= 1
    assert abs(2 * boxed[1] + boxed[3] - size) <= 1


@pytest.mark.parametrize("turned", range(4))
def test_parts_beyond_the_image_are_cropped(turned: int) -> None:
    image = page(*ELL).rotate(90 * turned)
    for size in (24, 20):
        wide = preprocessed(image, size + 28, box=20)
        np.testing.assert_array_equal(preprocessed(image, size, box=20), wide[14:-14, 14:-14])
    assert preprocessed(image, 20).sum() < preprocessed(image, 28).sum(), "something was cut"


def test_a_page_without_an_object_is_not_preprocessed() -> None:
    assert apply_preprocessing(page(), 28, PREPROCESSING) is None
    rng = np.random.default_rng(0)
    assert (
        apply_preprocessing(Image.fromarray(rng.integers(0, 256, (200, 200), np.uint8)), 28, PREPROCESSING)
        is None
    )


def test_if_the_likelier_ink_is_no_object_the_other_is_tried() -> None:
    values = np.asarray(page((100, 130, 60, 20))).astype(int) - 55
    values[np.asarray(page((100, 130, 60, 20))) == 0] = 120
    values[:, :40] = 255
    values[:, -40:] = 255
    found = preprocessed(Image.fromarray(values.astype(np.uint8)))
    assert extent(found)[2:] == (20, 7)
