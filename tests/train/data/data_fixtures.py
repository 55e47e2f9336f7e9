"""Writers of small data sets for the tests of infogan_tool.train.data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt


def random_images(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a uint8 array of noise."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_image(path: Path, array: npt.NDArray[Any], **options: int) -> Path:
    """Write one uint8 image (H, W) or (H, W, C)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def write_flat(folder: Path, images: Iterable[npt.NDArray[Any]], end: str = ".png") -> None:
    for index, image in enumerate(images):
        write_image(folder / f"p{index}{end}", image)


def write_classes(folder: Path, names: list[str], images: Iterable[npt.NDArray[Any]]) -> None:
    for index, image in enumerate(images):
        write_image(folder / names[index % len(names)] / f"p{index}.png", image)
