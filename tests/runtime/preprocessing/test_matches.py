"""Which images are already preprocessed, compared with a plain implementation for one image."""

from __future__ import annotations

import numpy as np
import pytest

from infogan_tool.runtime.preprocessing.matches import matches_preprocessing
from infogan_tool.runtime.preprocessing.spec import Preprocessing


def boxes(size: int = 28, count: int = 600) -> np.ndarray:
    """Return boxes of many sizes, positions and shades on black, and noise, empty and inverted images."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, size, size), np.uint8)
    for index in range(count - 100):
        height, width = (
            rng.integers(1, size - 1, 2)
            if index % 2
            else (size * 5 // 7 - rng.integers(0, 2), rng.integers(1, size * 5 // 7))
        )
        reach = 3 if index % 3 else 1
        top, left = ((size - side) // 2 + rng.integers(1 - reach, reach) for side in (height, width))
        images[index, max(0, top) : top + height, max(0, left) : left + width] = rng.choice(
            (20, 199, 200, 255)
        )
    images[count - 100 : count - 50] = rng.integers(0, 256, (50, size, size))
    images[count - 40 :] = 255 - images[:40]
    return images


def matches(image: np.ndarray, preprocessing: Preprocessing) -> bool:
    values = 255 - image if preprocessing.ink == "dark" else image
    rows, columns = np.nonzero(values >= 32)
    if not len(rows) or values.max() < 200:
        return False
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    if preprocessing.centre == "box":
        centre = (rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2
    else:
        profiles = values.sum(1, dtype=float), values.sum(0, dtype=float)
        centre = tuple(profile @ np.arange(len(profile)) / profile.sum() for profile in profiles)
    off = max(abs(position - len(image) / 2) for position in centre)
    return bool(preprocessing.box - 2 <= longer <= preprocessing.box + 1 and off <= 1)


@pytest.mark.parametrize("centre", ["mass", "box"])
@pytest.mark.parametrize("ink", ["light", "dark"])
@pytest.mark.parametrize("size", [28, 33])
def test_many_images_match_as_each_does(centre: str, ink: str, size: int) -> None:
    preprocessing = Preprocessing(box=size * 5 // 7, centre=centre, ink=ink, stroke=2.0)  # type: ignore[arg-type]
    images = boxes(size) if ink == "light" else 255 - boxes(size)
    expected = [matches(image, preprocessing) for image in images]
    assert matches_preprocessing(images, preprocessing).tolist() == expected
    assert [bool(matches_preprocessing(image[None], preprocessing)[0]) for image in images] == expected
    assert 50 < sum(expected) < 550


@pytest.mark.parametrize("size", [1, 2, 4, 7, 12, 32])
def test_any_size(size: int) -> None:
    preprocessing = Preprocessing(box=size, centre="box", ink="light", stroke=0.0)
    images = np.zeros((3, size, size), np.uint8)
    images[1] = 255
    images[2, 0, 0] = 255
    assert matches_preprocessing(images, preprocessing).tolist()[:2] == [False, True]
    assert len(matches_preprocessing(images[:0], preprocessing)) == 0


def test_rows_that_are_not_contiguous() -> None:
    images = boxes()
    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    padded = np.full((len(images), 29, 28), 99, np.uint8)  # as in a decoded sheet, with a row in between
    padded[:, 1:] = images
    expected = matches_preprocessing(images, preprocessing)
    assert (matches_preprocessing(padded[:, 1:], preprocessing) == expected).all()
