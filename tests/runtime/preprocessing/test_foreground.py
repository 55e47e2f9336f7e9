"""Segmentation of synthetic pages with known objects, on both sides of each condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime.preprocessing.background import Ink
from infogan_tool.runtime.preprocessing.foreground import segment_object

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Turn = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

Block = tuple[int, int, int, int]
"""Top, left, height and width."""

TURNS: dict[str, Turn] = {
    "as drawn": lambda page: page,
    "transposed": lambda page: page.T,
    "upside down": lambda page: page[::-1],
    "mirrored": lambda page: page[:, ::-1],
    "all of it": lambda page: page.T[::-1, ::-1],
}
"""No side of a page is another's better."""


@pytest.fixture(params=list(TURNS.values()), ids=list(TURNS))
def turn(request: pytest.FixtureRequest) -> Turn:
    chosen: Turn = request.param
    return chosen


def page(*blocks: Block, size: tuple[int, int] = (100, 100)) -> npt.NDArray[np.float32]:
    """A background with blocks of ink of the usual strength."""
    strength = np.zeros(size, np.float32)
    for top, left, height, width in blocks:
        assert strength[top : top + height, left : left + width].shape == (height, width)
        strength[top : top + height, left : left + width] = 1
    return strength


def as_ink(strength: npt.NDArray[np.float32]) -> Ink:
    return Ink(strength, strength > 0.37, strength > 0.55, strength > 0.18)


def side_lengths(strength: npt.NDArray[np.float32], turn: Turn) -> tuple[int, int] | None:
    """Height and width of the object before its page was turned."""
    found = segment_object(as_ink(turn(strength)))
    if found is None:
        return None
    height, width = found.shape
    return (width, height) if turn(np.zeros((1, 2), np.float32)).shape == (2, 1) else (height, width)


# --- what is cut out ---------------------------------------------------------------------------------------


def test_the_object_is_cropped_to_its_box_with_soft_edges() -> None:
    strength = page((30, 40, 20, 5), (45, 40, 5, 30))
    strength[30, 40] = 1.4
    strength[35, 45] = 0.3  # beside the ink: its soft edge
    strength[36, 46] = 0.3  # two away: background
    strength[40, 45] = -0.2
    strength[33, 60] = 0.5  # a faint speck in the box
    expected = strength[30:50, 40:70].copy()
    expected[0, 0] = 1
    expected[6, 6] = expected[10, 5] = expected[3, 20] = 0
    found = segment_object(as_ink(strength))
    assert found is not None
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_the_object_does_not_depend_on_the_orientation() -> None:
    found_one = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        size = rng.integers(60, 120, 2)
        blocks = [
            (*(int(rng.integers(0, s - d)) for s, d in zip(size, sides, strict=True)), *map(int, sides))
            for sides in rng.integers(1, 25, (rng.integers(1, 6), 2))
        ]
        strength = page(*blocks, size=(size[0], size[1]))
        strength *= rng.uniform(0.6, 1.4, strength.shape).astype(np.float32)
        found = segment_object(as_ink(strength))
        found_one += found is not None
        for turn in TURNS.values():
            turned = segment_object(as_ink(turn(strength)))
            assert (turned is None) == (found is None)
            if found is not None and turned is not None:
                np.testing.assert_array_equal(turned, turn(found))
    assert 20 < found_one < 60, "some are objects, some are not"


# --- no object ---------------------------------------------------------------------------------------------


def test_weak_ink_alone_is_no_object() -> None:
    assert segment_object(as_ink(page())) is None
    assert segment_object(as_ink(0.5 * page((40, 40, 20, 20)))) is None
    strength = 0.5 * page((40, 40, 20, 20))
    strength[50, 50] = 1
    assert segment_object(as_ink(strength)) is not None, "weak ink counts where it hangs together with strong"


@pytest.mark.parametrize(("size", "least"), [((60, 40), 4), ((400, 100), 8)])
def test_a_speck_is_no_object(size: tuple[int, int], least: int, turn: Turn) -> None:
    assert side_lengths(page((20, 20, 2, least - 1), size=size), turn) is None
    assert side_lengths(page((20, 20, 2, least), size=size), turn) == (2, least)


def test_an_object_has_at_least_half_of_the_ink(turn: Turn) -> None:
    main = (45, 45, 10, 10)
    assert side_lengths(page(main, (0, 20, 9, 11)), turn) == (10, 10)
    assert side_lengths(page(main, (0, 20, 10, 10)), turn) == (10, 10)
    assert side_lengths(page(main, (0, 20, 6, 17)), turn) is None
    assert side_lengths(page(main, (0, 20, 6, 10), (60, 94, 7, 6)), turn) is None, "both are beside it"


def test_one_bright_speck_weighs_no_more_than_its_pixels(turn: Turn) -> None:
    strength = page((45, 45, 10, 10), (0, 20, 5, 5))
    strength[0, 20] = 90
    assert side_lengths(strength, turn) == (10, 10)


def test_the_background_must_be_even() -> None:
    main = (45, 45, 10, 10)

    def with_rest(value: float, count: int) -> npt.NDArray[np.float32] | None:
        strength = page(main)
        strength.ravel()[:count] = value
        return segment_object(as_ink(strength))

    # The background is the page without the object and two pixels around: 9,804 pixels.
    assert with_rest(0.3, 4000) is not None
    assert with_rest(0.3, 4400) is None, "root of the mean square above 0.2"
    assert with_rest(-0.3, 4000) is not None
    assert with_rest(-0.5, 480) is not None
    assert with_rest(-0.5, 500) is None, "a twentieth is lighter than the background"
    assert with_rest(-1000, 90) is not None, "a few pixels count for little, however far they are off"
    assert with_rest(-1000, 100) is None


def test_the_edge_of_an_object_is_not_background() -> None:
    strength = page((10, 10, 10, 10), size=(30, 30))
    around = strength.copy()
    around[8:22, 8:22] = -1
    around[10:20, 10:20] = 1
    assert segment_object(as_ink(around)) is not None
    around[7, 7:23] = around[22, 7:23] = around[7:23, 7] = -1
    assert segment_object(as_ink(around)) is None, "three pixels away is background"
    everywhere = np.where(page((1, 1, 6, 6), size=(8, 8)) > 0, np.float32(1), np.float32(-1))
    assert segment_object(as_ink(everywhere)) is not None, "no background is left to be uneven"


# --- ruled paper -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "ruled"),
    [
        (9, 161, True),  # across
        (9, 160, False),  # not across
        (10, 161, False),  # too broad
        (2, 17, True),  # long and thin
        (2, 16, False),  # not long
        (3, 60, False),  # not thin
    ],
)
def test_ruled_lines_are_no_parts(height: int, width: int, turn: Turn, *, ruled: bool) -> None:
    line = (42 - height, 20 if width > 100 else 80, height, width)
    alone = side_lengths(page((45, 80, 20, 40), line, size=(100, 200)), turn) == (20, 40)
    assert alone == ruled


def test_many_lines_do_not_count_against_an_object(turn: Turn) -> None:
    lines = [(top, 0, 2, 200) for top in range(5, 100, 10)]
    strength = page((45, 80, 8, 40), *lines, size=(100, 200))
    strength[44:56] = page((47, 80, 8, 40), size=(100, 200))[44:56]  # no line crosses it
    assert strength.sum() > 3 * 320
    assert side_lengths(strength, turn) == (8, 40)


def test_a_single_line_on_a_page_is_an_object(turn: Turn) -> None:
    assert side_lengths(page((10, 50, 81, 3)), turn) == (81, 3)
    assert side_lengths(page((10, 30, 81, 3), (10, 70, 81, 2)), turn) == (81, 3), "of two, the stronger"


# --- parts -------------------------------------------------------------------------------------------------

MAIN = (40, 30, 20, 20)


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ((40, 52, 3, 3), (20, 25)),  # three to the right: 0.15 of the longer side
        ((40, 53, 3, 3), (20, 20)),  # four
        ((62, 30, 3, 3), (25, 20)),
        ((63, 30, 3, 3), (20, 20)),
        ((62, 52, 3, 3), (25, 25)),  # over the corner
        ((62, 53, 3, 3), (20, 20)),
        ((40, 52, 2, 5), (20, 27)),  # 2 % of its mass are 8
        ((40, 52, 2, 4), (20, 20)),
        ((40, 70, 10, 11), (20, 51)),  # anywhere from a quarter of its mass on
        ((40, 70, 10, 10), (20, 20)),
        ((70, 70, 10, 11), (40, 51)),
    ],
)
def test_parts_are_near_or_large(part: Block, whole: tuple[int, int], turn: Turn) -> None:
    assert side_lengths(page(MAIN, part), turn) == whole


def test_a_part_is_not_far_shorter_than_the_object(turn: Turn) -> None:
    assert side_lengths(page((30, 30, 40, 8), (30, 40, 3, 3)), turn) == (40, 8)
    assert side_lengths(page((30, 30, 40, 8), (30, 40, 4, 2)), turn) == (40, 12)


def test_a_part_has_strong_ink(turn: Turn) -> None:
    strength = page(MAIN, (40, 52, 6, 6))
    strength[40:46, 52:58] = 0.5
    assert side_lengths(strength, turn) == (20, 20)
    strength[42, 55] = 0.6
    assert side_lengths(strength, turn) == (20, 28)


def test_parts_of_parts_belong_and_are_found_from_the_frame_of_all(turn: Turn) -> None:
    chain = [(40, 52, 4, 4), (46, 58, 4, 4), (52, 64, 4, 4)]
    assert side_lengths(page(MAIN, *chain), turn) == (20, 38)
    assert side_lengths(page(MAIN, *chain[1:]), turn) == (20, 20)
    # Beside the frame of object and part, far from either.
    assert side_lengths(page(MAIN, (34, 52, 4, 4), (34, 30, 2, 9)), turn) == (26, 26)


def test_a_component_at_the_border_is_no_part(turn: Turn) -> None:
    strength = page((5, 30, 20, 20), (0, 30, 4, 4))
    assert side_lengths(strength, turn) == (20, 20)
    assert side_lengths(page((5, 30, 20, 20), (1, 30, 3, 4)), turn) == (24, 20)


def test_an_object_that_touches_the_border_may_with_every_part(turn: Turn) -> None:
    assert side_lengths(page((0, 30, 60, 30), (63, 30, 37, 30)), turn) == (100, 30)
    assert side_lengths(page((0, 30, 60, 30), (40, 64, 5, 36)), turn) == (60, 70)


def test_the_middle_is_likelier_than_the_border(turn: Turn) -> None:
    middle = (48, 40, 5, 20)
    # A tenth of its ink counts where it touches the border; then, too much is left out.
    assert side_lengths(page(middle, (0, 5, 9, 11)), turn) == (5, 20)
    assert side_lengths(page(middle, (0, 5, 45, 45)), turn) == (53, 55), "twenty times as heavy"
    assert side_lengths(page(middle, (0, 5, 25, 25)), turn) is None


@pytest.mark.parametrize(
    ("top", "left", "middle_is_main"),
    [(2, 2, True), (11, 44, True), (15, 44, False), (44, 11, True), (21, 21, True), (24, 24, False)],
)
def test_the_main_part_is_rather_in_the_middle(
    top: int, left: int, turn: Turn, *, middle_is_main: bool
) -> None:
    # Three pixels are near for the long one in the middle, and too far for the heavier block: which is main?
    middle, small, block = (48, 38, 4, 25), (48, 65, 4, 4), (top, left, 12, 12)
    size = side_lengths(page(middle, small, block), turn)
    until = 69 if middle_is_main else 63
    assert size == (max(52, top + 12) - min(48, top), until - min(38, left))
