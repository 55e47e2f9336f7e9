"""Images and labels from files in MNIST's IDX format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.idx import open_idx
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.imageset import check_fits

if TYPE_CHECKING:
    from pathlib import Path

_PARTS: Final = {
    ("train", "images"): "train-images{}idx3-ubyte",
    ("train", "labels"): "train-labels{}idx1-ubyte",
    ("test", "images"): "t10k-images{}idx3-ubyte",
    ("test", "labels"): "t10k-labels{}idx1-ubyte",
}


def find_part(folder: Path, split: str, part: str) -> Path | None:
    """Return the IDX file of ``part`` and ``split`` in a folder, or ``None``.

    Names are ``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte``, each with or without ``.gz``. The
    file without is preferred: torchvision leaves the ``.gz`` beside it.

    Args:
        folder: Where to look.
        split: ``"train"`` or ``"test"`` (files named t10k).
        part: ``"images"`` or ``"labels"``.

    Raises:
        DataError: Files of both spellings exist.
        OSError: The folder cannot be read.
    """
    found = []
    for mark in ("-", "."):
        name = _PARTS[split, part].format(mark)
        paths = [folder / name, folder / f"{name}.gz"]
        found += [path for path in paths if path.exists() or path.is_symlink()][:1]
    if len(found) > 1:
        raise DataError(f"{printable(folder)} holds both {found[0].name} and {found[1].name}: keep one")
    return found[0] if found else None


def read_idx_images(path: Path, *, md5: str | None = None) -> torch.Tensor:
    """Read the images of an IDX file.

    Args:
        path: An IDX file of three dimensions, plain or gzipped.
        md5: Expected MD5 of the uncompressed content, in hexadecimal.

    Returns:
        uint8 ``(N, 1, H, W)``. Reading needs no more memory than these bytes and a small buffer.

    Raises:
        DataError: It cannot be read, is not IDX, is truncated or has another checksum.
    """
    return _read(path, 3, md5).unsqueeze(1)


def read_labels(path: Path, count: int, *, md5: str | None = None) -> torch.Tensor:
    """Read the labels of ``count`` images: int64 ``(count,)``, each from 0 to 255.

    Args:
        path: An IDX file of one dimension, plain or gzipped.
        count: Expected number of labels.
        md5: Expected MD5 of the uncompressed content, in hexadecimal.

    Raises:
        DataError: As :func:`read_idx_images`, or there are more or fewer labels than images.
    """
    return _read(path, 1, md5, count=count).long()


def _read(path: Path, ndim: int, md5: str | None, count: int | None = None) -> torch.Tensor:
    with open_idx(path, ndim) as stream:
        if count is not None and stream.shape[0] != count:
            raise DataError(f"{stream.shown} has {stream.shape[0]:,} labels for {count:,} images")
        check_fits(stream.check_size(), stream.shown)
        content = torch.empty(stream.shape, dtype=torch.uint8)
        stream.fill(content.view(-1).numpy().data)
        stream.finish()
        if md5 is not None and stream.md5() != md5:
            raise DataError(f"{stream.shown} is damaged: its MD5 is {stream.md5()}, not {md5}")
        return content
