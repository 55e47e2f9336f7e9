"""Images on disk for the commands to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bulk_helpers import COUNT
from PIL import Image

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # The commands' output is compared to the bit with the CPU's.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Return five readable images of different sizes and modes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for index, (mode, size) in enumerate([("L", 28), ("RGB", 16), ("RGBA", 40), ("1", 9), ("P", 64)]):
        levels = rng.integers(0, 256, (size, size, 3), np.uint8)
        paths.append(folder / f"p{index}.png")
        Image.fromarray(levels).convert(mode).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """Return images as the bundle that ships draws them, uint8 (600, 28, 28)."""
    bundle = load_bundle(device="cpu")
    images = bundle.generate(bundle.sample(COUNT, seed=1))
    low, high = bundle.image.low, bundle.image.high
    return np.rint((images[:, 0] - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def folder(digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with these images in six others; nothing may be written into it."""
    path = tmp_path_factory.mktemp("digits")
    for number, digit in enumerate(digits):
        below = path / f"{number // 100}"
        below.mkdir(exist_ok=True)
        Image.fromarray(digit).save(below / f"{number:04d}.png", compress_level=1)
    return path
