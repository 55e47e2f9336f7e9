"""Contact sheets of a bundle's categories with real images, which need the training packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_real_images_nearest_to_and_farthest_from_the_centre(cli: Callable[..., Any], tmp_path: Path) -> None:
    digits = tmp_path / "digits"
    digits.mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(rng.integers(0, 255, (28, 28), np.uint8)).save(digits / f"{index}.png")
    out = tmp_path / "sheets"
    result = cli("name", "mnist", "--out", out, "--data", digits)
    assert result.code == 0, result.err
    page = (out / "contact-sheets.html").read_text("utf-8")
    assert page.count("real, nearest to the centre") == page.count("real, farthest from the centre") > 0
    assert page.count(">generated<") == 10
