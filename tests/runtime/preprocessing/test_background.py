"""Ink on a background: synthetic pages with known ink, under uneven light and shadows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.preprocessing.background import _otsu_variance, find_inks

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from infogan_tool.runtime.preprocessing.background import Ink

    Floats = npt.NDArray[np.float64]
    Light = Callable[[Floats, Floats], Floats]

SIZES = [(40, 60), (80, 50), (150, 100), (300, 400), (260, 130)]
"""Sizes below and above the limits for reducing and smoothing."""


def strokes(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Two strokes across and one down, a twentieth of the page thick."""
    drawn = np.zeros(size, bool)
    height, width = size
    thick = max(2, max(size) // 20)
    drawn[height // 4 : height // 4 + thick, width // 4 : 3 * width // 4] = True
    drawn[2 * height // 3 : 2 * height // 3 + thick, width // 4 : width // 2] = True
    drawn[height // 4 : 2 * height // 3, width // 2 : width // 2 + thick] = True
    return drawn


def grid(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Rows and columns, each from -1 to 1."""
    height, width = size
    down, right = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return down, right


def found(page: npt.ArrayLike) -> list[Ink]:
    values = np.clip(np.rint(np.asarray(page, np.float64)), 0, 255).astype(np.uint8)
    return list(find_inks(Image.fromarray(values)))


def first(page: npt.ArrayLike) -> Ink:
    return found(page)[0]


def off(mask: npt.NDArray[np.bool_], drawn: npt.NDArray[np.bool_]) -> int:
    """How many pixels are wrong, the outline on either side left out."""
    wide = np.pad(drawn, 1, mode="edge")
    around = [
        wide[down : down + drawn.shape[0], right : right + drawn.shape[1]]
        for down, right in itertools.product(range(3), range(3))
    ]
    certain = np.all(around, axis=0) | ~np.any(around, axis=0)
    return int(np.count_nonzero((mask != drawn) & certain))


# --- light -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("paper", "ink"), [(230, 40), (40, 230), (120, 90), (20, 0), (235, 255)])
def test_ink_on_an_even_background(size: tuple[int, int], paper: int, ink: int) -> None:
    drawn = strokes(size)
    seen = first(np.where(drawn, ink, paper))
    assert off(seen.mask, drawn) == off(seen.strong, drawn) == 0
    assert np.median(seen.strength[drawn]) == pytest.approx(1, abs=0.03)
    assert np.median(seen.strength[~drawn]) == pytest.approx(0, abs=0.03)
    assert (seen.strength.shape, seen.strength.dtype) == (size, np.float32)
    assert (seen.mask | ~seen.strong).all(), "strong ink is ink"


LIGHTS: dict[str, Light] = {
    "from above": lambda down, right: 1 - 0.25 * down + 0 * right,
    "from the left": lambda down, right: 1 - 0.25 * right + 0 * down,
    "a lamp": lambda down, right: 1.2 - 0.2 * down**2 - 0.3 * right**2,
    "from a corner": lambda down, right: 1 + 0.12 * down * right - 0.1 * right + 0.1 * down,
    "a dark middle": lambda down, right: 0.8 + 0.2 * down**2 + 0.1 * right**2,
}


@pytest.mark.parametrize("light", list(LIGHTS.values()), ids=list(LIGHTS))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("paper", "ink"), [(180, 130), (60, 140)])
def test_uneven_light_is_no_ink(size: tuple[int, int], light: Light, paper: int, ink: int) -> None:
    drawn = strokes(size)
    seen = first(np.where(drawn, ink, paper) * light(*grid(size)))
    assert off(seen.mask, drawn) <= 0.002 * drawn.size
    assert abs(np.median(seen.strength[~drawn])) < 0.05
    assert np.quantile(np.abs(seen.strength[~drawn]), 0.9) < 0.25


@pytest.mark.parametrize("size", [(150, 100), (300, 400), (100, 260)])
@pytest.mark.parametrize("left", [0.62, 0.8])
@pytest.mark.parametrize("along", [0, 1])
def test_edge_of_a_shadow_is_no_ink(size: tuple[int, int], left: float, along: int) -> None:
    drawn = strokes(size)
    shadow = np.where(grid(size)[along] > 0.1, left, 1.0)
    seen = first(np.where(drawn, 60, 220) * shadow)
    assert off(seen.mask, drawn) <= 0.004 * drawn.size


def test_anything_darker_than_a_shadow_is_ink_of_any_width() -> None:
    page = np.full((200, 200), 220.0)
    page[50:150, 50:150] = 60
    assert first(page).mask[55:145, 55:145].all()
    page[50:150, 50:150] = 160
    seen = found(page)
    assert not seen or not seen[0].mask[80:120, 80:120].any(), "as much as a shadow takes"
    page[50:150, 50:150] = 220
    page[90:120, 20:180] = 160
    assert first(page).mask[92:118, 25:175].all(), "no broader than a stroke may be"


@pytest.mark.parametrize("size", [(60, 60), (100, 100), (150, 220)])
def test_the_background_is_at_the_border_however_small_it_is(size: tuple[int, int]) -> None:
    down, right = grid(size)
    block = (np.abs(down) < 0.8) & (np.abs(right) < 0.8)  # two thirds of the page
    for paper, ink in ((60, 200), (220, 50)):
        assert off(first(np.where(block, ink, paper)).mask, block) == 0


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("size", [(60, 60), (90, 200)])
def test_ink_along_two_borders_is_not_the_background(size: tuple[int, int], turned: int) -> None:
    height, width = size
    drawn = np.zeros(size, bool)
    drawn[: height // 6] = drawn[: height // 2, : width // 6] = True
    drawn = np.rot90(drawn, turned)
    for paper, ink in ((60, 200), (220, 40)):
        assert off(first(np.where(drawn, ink, paper)).mask, drawn) == 0


def test_ink_at_the_edge_is_ink() -> None:
    page = np.full((200, 300), 210.0)
    page[:20, 100:200] = page[80:120, :25] = page[180:, 50:60] = page[10:60, 285:] = 50
    assert off(first(page).mask, page < 100) == 0


# --- noise and faintness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", [0, 7, 128, 255])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (30, 2), (60, 60), (300, 200)])
def test_a_blank_page_has_no_ink(shade: int, size: tuple[int, int]) -> None:
    assert found(np.full(size, shade)) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [-1, 1])
def test_differences_below_8_of_255_are_background(size: tuple[int, int], side: int) -> None:
    drawn = strokes(size)
    assert found(128 + side * 7 * drawn) == []
    assert off(first(128 + side * 12 * drawn).strong, drawn) == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [2, 6])
@pytest.mark.parametrize("side", [-1, 1])
def test_grain_is_no_ink_and_does_not_hide_strong_ink(size: tuple[int, int], sigma: float, side: int) -> None:
    drawn = strokes(size)
    noise = np.random.default_rng(4).normal(0, sigma, size)
    seen = first(128 + side * 16 * sigma * drawn + noise)
    assert off(seen.strong, drawn) <= 0.002 * drawn.size
    assert np.count_nonzero(seen.mask & ~drawn) <= 0.01 * drawn.size + 2 * max(size)
    nothing = found(128 + noise)
    assert all(np.count_nonzero(ink.strong) <= 0.002 * drawn.size for ink in nothing)


def test_specks_of_one_pixel_are_grain_in_a_large_image_and_ink_in_a_small_one() -> None:
    for size, count in (((300, 280), 0), ((240, 250), 25)):
        drawn = strokes(size)
        page = np.where(drawn, 100, 200)
        specks = [(10 + 9 * row, 8 + 7 * column) for row in range(5) for column in range(5)]
        for speck in specks:
            page[speck] = 100
        seen = first(page)
        assert sum(bool(seen.mask[speck]) for speck in specks) == count
        assert seen.strong[drawn].mean() > 0.9


@pytest.mark.parametrize("size", [(90, 90), (200, 150)])
def test_noise_raises_what_counts_as_ink(size: tuple[int, int]) -> None:
    drawn = strokes(size)
    noise = np.random.default_rng(4).normal(0, 10, drawn.shape)
    for page in (128 + 20 * drawn + noise, 128 - 20 * drawn + noise):
        marked = sum(np.count_nonzero(ink.mask) for ink in found(page))
        assert marked < 0.3 * np.count_nonzero(drawn), "two sigma are grain"
    for page in (128 + 65 * drawn + noise, 128 - 65 * drawn + noise):
        assert first(page).strong[drawn].mean() > 0.9, "six sigma and a half are none"


# --- how strong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 80), (200, 200)])
@pytest.mark.parametrize("side", [-1, 1])
def test_strength_is_by_the_usual_ink_and_weak_ink_is_not_strong(size: tuple[int, int], side: int) -> None:
    drawn = strokes(size)
    page = 128.0 + side * 100 * drawn
    third = size[0] // 20
    dot = {part: (slice(third * row, third * row + 3), slice(4, 7)) for part, row in
           ((30, 8), (42, 10), (50, 12), (60, 14))}  # fmt: skip
    for part, place in dot.items():
        page[place] = 128 + side * part
    seen = first(page)
    centre = {part: (rows.start + 1, columns.start + 1) for part, (rows, columns) in dot.items()}
    assert {part: seen.mask[at] for part, at in centre.items()} == {30: False, 42: True, 50: True, 60: True}
    assert {part: seen.strong[at] for part, at in centre.items()} == {
        30: False, 42: False, 50: False, 60: True
    }  # fmt: skip
    for part, at in centre.items():
        assert seen.strength[at] == pytest.approx(part / 100, abs=0.04)


@pytest.mark.parametrize("side", [-1, 1])
def test_faint_lines_over_all_of_the_page_are_not_the_usual_ink(side: int) -> None:
    drawn = strokes((90, 90))
    page = 128.0 + side * 30 * (np.indices(drawn.shape)[0] % 6 == 0)
    page[drawn] = 128 + side * 120
    seen = first(page)
    assert off(seen.strong, drawn) == 0
    assert np.median(seen.strength[drawn]) > 0.9


@pytest.mark.parametrize("side", [-1, 1])
def test_ink_of_two_strengths_is_measured_by_the_stronger_quarter(side: int) -> None:
    page = np.full((90, 90), 128.0)
    page[30:34, 20:60] += side * 60
    page[40:44, 20:37] += side * 100
    assert np.median(first(page).strength[40:44, 20:37]) == pytest.approx(1, abs=0.02)


# --- which side --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shade", "dark_first"), [(60, True), (70, False)])
def test_few_pixels_of_high_contrast_outweigh_many_of_low_contrast(shade: int, *, dark_first: bool) -> None:
    page = np.full((90, 90), 128)
    page[20:30, 20:30] = shade
    page[50:70, 40:80] = 160  # eight times as much of it; cubes of the differences count
    expected = [page < 100, page > 150]
    for way, order in ((page, expected), (255 - page, expected)):
        inks = found(way)
        assert [
            off(ink.mask, drawn)
            for ink, drawn in zip(inks, order if dark_first else order[::-1], strict=True)
        ] == [0, 0]


# --- colour ------------------------------------------------------------------------------------------------


def in_colour(ink: tuple[int, ...], paper: tuple[int, ...], speck: tuple[int, ...]) -> Ink:
    """Strokes on paper, and a speck at the upper left corner of the page."""
    page = np.where(strokes((90, 120))[..., None], ink, paper).astype(np.uint8)
    page[4:8, 4:8] = speck
    return next(find_inks(Image.fromarray(page)))


@pytest.mark.parametrize(("channel", "weight", "other"), [(0, 0.299, 1), (1, 0.587, 0), (2, 0.114, 1)])
def test_the_channel_with_clearly_more_contrast_is_used(channel: int, weight: float, other: int) -> None:
    def tells(differs: float) -> bool:
        """Say whether a speck that this channel does not see is no ink."""
        stroke, speck = [round(200 - differs)] * 3, [200] * 3
        stroke[channel], speck[other] = 100, 40
        return not in_colour(tuple(stroke), (200, 200, 200), tuple(speck)).mask[5, 5]

    # Ink that differs by 100 here and by d in the other channels does by d + weight * (100 - d) in luminance;
    # half as much again in variance is 1.22 times the difference.
    limit = (100 / 1.5**0.5 - 100 * weight) / (1 - weight)
    assert tells(0)
    assert tells(limit - 6)
    assert not tells(limit + 6)
    assert not tells(100)


@pytest.mark.parametrize("seed", range(8))
def test_classes_are_separated_by_the_best_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(*rng.uniform((0, 1), (255, 40)), 300) for _ in range(2)])
    values = values.clip(0, 255).astype(np.uint8).reshape(20, 30)

    def variance(threshold: int) -> float:
        """Of the means of the classes, each weighed by its share."""
        dark, light = values[values < threshold], values[values >= threshold]
        return len(dark) * len(light) * (dark.mean() - light.mean()) ** 2 / values.size**2

    thresholds = range(int(values.min()) + 1, int(values.max()) + 1)
    assert _otsu_variance(values) == pytest.approx(max(variance(t) for t in thresholds))
    assert _otsu_variance(np.full((4, 4), 7, np.uint8)) == 0


def test_grey_in_colour_is_grey() -> None:
    page = Image.fromarray(np.where(strokes((90, 120)), 60, 180).astype(np.uint8))
    for one, other in zip(find_inks(page), find_inks(page.convert("RGB")), strict=True):
        np.testing.assert_array_equal(one.strength, other.strength)
