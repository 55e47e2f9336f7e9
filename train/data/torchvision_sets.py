"""Data sets that torchvision downloads and verifies.

torchvision is imported only when one of them is loaded, because that takes a second or more.
"""

from __future__ import annotations

import math
import socket
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch

from infogan_tool.runtime.errors import DataError, MissingExtraError
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.image_files import read_image_files
from infogan_tool.train.data.imageset import ImageSet, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchvision.datasets import VisionDataset

_DIGITS: Final = tuple("0123456789")

_CELEBA_HEIGHT: Final = 218
_CELEBA_WIDTH: Final = 178

_TIMEOUT_S: Final = 60.0
"""A download without data for this long fails; torchvision itself has no timeout."""
_REASON_LENGTH: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """How torchvision names one data set."""

    class_name: str
    """Class in torchvision.datasets."""
    folder: str = ""
    """Where its files are, below the root."""
    split_option: bool = False
    """Whether the class takes ``split="train"`` in place of ``train=True``."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the class."""
    layout: Literal["NHW", "NHWC", "NCHW", "files"] = "NHW"
    """Axes of the class's array; ``"files"`` if it has names of image files."""
    transposed: bool = False
    """Whether rows and columns of the images are exchanged."""
    label_names: tuple[str, ...] | None = _DIGITS
    """Names of the classes; ``None``: those of the torchvision class."""


_SOURCES: Final = {
    "fashion-mnist": _Source(class_name="FashionMNIST", folder="FashionMNIST/raw", label_names=None),
    "kmnist": _Source(class_name="KMNIST", folder="KMNIST/raw", label_names=None),
    "qmnist": _Source(class_name="QMNIST", folder="QMNIST/raw"),
    "emnist": _Source(
        class_name="EMNIST",
        folder="EMNIST/raw",
        # The split that has MNIST's ten classes, each equally often.
        options={"split": "digits"},
        transposed=True,
    ),
    "svhn": _Source(class_name="SVHN", split_option=True, layout="NCHW"),
    "cifar10": _Source(class_name="CIFAR10", layout="NHWC", label_names=None),
    "celeba": _Source(class_name="CelebA", folder="celeba", split_option=True, layout="files"),
}

TORCHVISION_NAMES: Final = tuple(_SOURCES)
"""Names of these data sets, which builtin.py describes."""


def load_torchvision(
    name: str,
    *,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    root: Path,
    download: bool,
    limit: int | None = None,
) -> ImageSet:
    """Load a data set of :data:`TORCHVISION_NAMES` from ``root``, in torchvision's layout.

    Raises:
        DataError: It is damaged, or missing and cannot be downloaded.
        MissingExtraError: A package that it needs is not installed.
    """
    dataset = _open(name, _SOURCES[name], split, root, download=download)
    return from_torchvision(name, dataset, size=size, channels=channels, limit=limit)


def _open(name: str, source: _Source, split: str, root: Path, *, download: bool) -> VisionDataset:
    try:
        from torchvision import datasets  # noqa: PLC0415 - a second or more, and not needed for mnist
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"data set {name}", "train") from error
    except (ImportError, RuntimeError) as error:  # built for another torch
        raise DataError(f"{name} needs torchvision, which cannot be imported: {_reason(error)}") from error
    options = dict(source.options)
    options |= {"split": split} if source.split_option else {"train": split == "train"}
    try:
        with _quiet():
            return getattr(datasets, source.class_name)(root, download=download, **options)
    except ModuleNotFoundError as error:  # svhn is read by scipy
        raise MissingExtraError(f"data set {name}", "train") from error
    except Exception as error:
        folder = printable(root / source.folder)
        raise DataError(
            f"{name} cannot be loaded ({_reason(error)}); without a download, put torchvision's files into "
            f"{folder}"
        ) from error


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()) or type(error).__name__)[:_REASON_LENGTH]


@contextmanager
def _quiet() -> Iterator[None]:
    """Redirect what torchvision prints to stderr, and give downloads a timeout."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(timeout)


def from_torchvision(
    name: str,
    dataset: VisionDataset,
    *,
    size: int | None,
    channels: int | None,
    limit: int | None = None,
) -> ImageSet:
    """Return the images and labels of an open torchvision data set.

    Args:
        name: One of :data:`TORCHVISION_NAMES`.
        dataset: An object of the torchvision class of that name.
        size: Height and width of the result; ``None``: as in the data.
        channels: 1 or 3; ``None``: as in the data.
        limit: Return at most so many images, chosen at random, always the same.

    Raises:
        DataError: Its arrays have another dtype or shape than they should.
    """
    source = _SOURCES[name]
    if source.layout == "files":
        return _from_celeba(name, dataset, size=size, channels=channels, limit=limit)
    images = torch.as_tensor(dataset.data)
    if images.dtype != torch.uint8 or images.ndim != len(source.layout):
        raise DataError(f"{name}: its images are not uint8 of axes {source.layout}: the files are damaged")
    if source.layout == "NHW":
        images = images.unsqueeze(1)
    elif source.layout == "NHWC":
        images = images.permute(0, 3, 1, 2)
    if source.transposed:
        images = images.transpose(-1, -2)
    chosen = choose(len(images), limit)
    return ImageSet(
        images=convert_images(images[chosen], size=size, channels=channels, name=name),
        labels=_labels(dataset)[chosen],
        label_names=source.label_names or tuple(dataset.classes),
        name=name,
    )


def _labels(dataset: VisionDataset) -> torch.Tensor:
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    labels = torch.as_tensor(np.asarray(labels)).long()
    # qmnist has eight attributes of each image; the first is the digit.
    return labels[:, 0].contiguous() if labels.ndim > 1 else labels


def _from_celeba(
    name: str, dataset: VisionDataset, *, size: int | None, channels: int | None, limit: int | None
) -> ImageSet:
    folder = Path(dataset.root) / dataset.base_folder / "img_align_celeba"
    size = size or _CELEBA_WIDTH
    files = np.asarray(dataset.filename)[choose(len(dataset.filename), limit)]
    images = read_image_files(
        [folder / file for file in files.tolist()],
        size=size,
        channels=channels or 3,
        name=name,
        # Padded to a square with bars left and right, which the crop of the centre removes.
        padded_size=math.ceil(size * _CELEBA_HEIGHT / _CELEBA_WIDTH),
    )
    return ImageSet(images=images, labels=None, label_names=None, name=name)
