"""Write IDX files, and folders of real digits in them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np

from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """Return the IDX file of a uint8 array of any shape."""
    sizes = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


def write_idx(path: Path, array: npt.NDArray[Any]) -> Path:
    """Write a uint8 array in IDX format, gzipped if the name ends in .gz."""
    content = idx_bytes(array)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_digits(folder: Path, train: int, test: int, *, labels: bool = True) -> Path:
    """Write a data folder with the first images of MNIST."""
    for name, digits, count in (
        ("train", load_images("mnist"), train),
        ("t10k", load_test_images("mnist"), test),
    ):
        assert digits is not None
        assert digits.labels is not None
        write_idx(folder / f"{name}-images-idx3-ubyte", digits.images[:count, 0].numpy())
        if labels:
            write_idx(folder / f"{name}-labels-idx1-ubyte", digits.labels[:count].numpy())
    return folder
