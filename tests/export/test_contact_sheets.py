"""Contact sheets of a bundle's categories with real images, which need the training packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_most_and_least_typical_real_images(cli: Callable[..., Any], tmp_path: Path) -> None:
    digits = tmp_path / "digits"
    digits.mkdir()
    rng = np.random.default_rng(0)
    for index in range(400):
        Image.fromarray(rng.integers(0, 255, (28, 28), np.uint8)).save(digits / f"{index}.png")
    out = tmp_path / "sheets"
    result = cli("name", "mnist", "--out", out, "--data", digits)
    assert result.code == 0, result.err
    page = (out / "contact-sheets.html").read_text("utf-8")
    most, least = (page.count(f">real images, {which} typical first<") for which in ("most", "least"))
    assert most >= least > 0  # a category of few images has one sheet for all of them
    assert page.count(">generated images<") == 10
    assert sum(map(int, re.findall(r"The encoder assigns (\d+) of 400 real images", page))) == 400
