"""Hairlines: faint strokes that are connected to the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from infogan_tool.runtime.preprocessing.background import Ink, find_inks
from infogan_tool.runtime.preprocessing.foreground import segment_object
from infogan_tool.runtime.preprocessing.hairlines import add_hairlines

if TYPE_CHECKING:
    import numpy.typing as npt

    Grey = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]


def with_hairlines(strength: Grey) -> tuple[Grey, Mask, Mask]:
    """Return strength and object with hairlines, and the object without: all ink above 0.37."""
    mask = strength > 0.37
    ink = Ink(strength, mask, strength > 0.55, strength > 0.18)
    return (*add_hairlines(ink, mask), mask)


def stem() -> Grey:
    strength = np.zeros((100, 100), np.float32)
    strength[30:70, 40:48] = 1
    return strength


def test_a_faint_stroke_on_the_object_is_added_and_strengthened() -> None:
    strength = stem()
    strength[30:32, 48:66] = strength[30:60, 64:66] = 0.25
    raised, found, mask = with_hairlines(strength)
    assert found[40:60, 64:66].all()
    np.testing.assert_allclose(raised[40:60, 64:66], 0.6, atol=1e-6)
    assert np.array_equal(raised[mask], strength[mask])
    assert not found[strength == 0].any()
    very_faint = np.where(strength == 0.25, np.float32(0.1), strength)
    assert np.array_equal(with_hairlines(very_faint)[1], mask)


def test_a_faint_stroke_beside_the_object_is_not_added() -> None:
    strength = stem()
    strength[30:60, 60:62] = 0.25
    raised, found, mask = with_hairlines(strength)
    assert np.array_equal(found, mask)
    assert np.array_equal(raised, strength)


def test_a_ruled_line_and_a_shadow_are_no_hairlines() -> None:
    ruled, shadow = stem(), stem()
    ruled[60:62, :40] = ruled[60:62, 48:] = 0.25
    shadow[20:80, 48:75] = 0.25
    for strength in (ruled, shadow):
        raised, found, mask = with_hairlines(strength)
        assert np.array_equal(found, mask)
        assert np.array_equal(raised, strength)


def test_the_blurred_edge_of_a_thick_stroke_is_not_added() -> None:
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line([(60, 60), (140, 60), (90, 150)], fill=0, width=14, joint="curve")
    for radius in (1, 2, 3):
        ink = next(find_inks(image.filter(ImageFilter.GaussianBlur(radius))))
        _, found = add_hairlines(ink, ink.mask)
        assert np.array_equal(found, ink.mask)


def test_a_blurred_ring_of_thick_and_thin_is_closed() -> None:
    image = Image.new("L", (240, 240), 230)
    ImageDraw.Draw(image).arc((70, 50, 170, 190), 90, 270, fill=30, width=12)
    ImageDraw.Draw(image).arc((70, 50, 170, 190), 270, 90, fill=30, width=1)
    found = segment_object(next(find_inks(image.filter(ImageFilter.GaussianBlur(1)))))
    assert found is not None
    height, width = found.shape
    assert abs(width - 101) <= 4
    middle = found[height // 2]
    assert middle[: width // 4].max() == 1
    assert middle[width // 2] == 0
    assert middle[-width // 8 :].max() > 0.5
