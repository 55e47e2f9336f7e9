"""Pictures on disk for the commands to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # The commands' output is compared to the bit with the CPU's.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Return five readable pictures of different sizes and modes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = []
    for index, (mode, size) in enumerate([("L", 28), ("RGB", 16), ("RGBA", 40), ("1", 9), ("P", 64)]):
        levels = rng.integers(0, 256, (size, size, 3), np.uint8)
        paths.append(folder / f"p{index}.png")
        Image.fromarray(levels).convert(mode).save(paths[-1])
    return paths
