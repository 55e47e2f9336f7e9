"""Data sets that torchvision downloads and verifies.

torchvision is imported only when one of them is asked for, because that takes a second or more.
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
from infogan_tool.train.data.imageset import ImageSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchvision.datasets import VisionDataset

__all__ = ["TORCHVISION_NAMES", "from_torchvision", "load_torchvision"]

_DIGITS: Final = tuple("0123456789")

_CELEBA_HEIGHT: Final = 218
_CELEBA_WIDTH: Final = 178

_TIMEOUT_S: Final = 60.0
"""A download that is silent for this long has failed; torchvision itself would wait for ever."""
_REASON_LENGTH: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """How torchvision names one data set."""

    class_name: str
    """Class in torchvision.datasets."""
    folder: str
    """Where its files go, below the root."""
    train_files: tuple[str, ...]
    """What to put there by hand for the training images; torchvision unpacks it."""
    test_files: tuple[str, ...] = ()
    """The same for the test images, where it differs."""
    unpacked: tuple[str, ...] = ()
    """Files that are there once the data set has been unpacked; ``*`` stands for train or test."""
    split_option: bool = False
    """Whether the class takes ``split="train"`` in place of ``train=True``."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the class."""
    layout: Literal["NHW", "NHWC", "NCHW", "files"] = "NHW"
    """Axes of the array that the class holds; ``"files"`` if it holds names of images."""
    transposed: bool = False
    """Whether rows and columns of the images have changed places."""
    label_names: tuple[str, ...] | None = _DIGITS
    """Names of the classes; ``None`` asks the torchvision class."""


_IDX_FILES: Final = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
_IDX_PACKED: Final = tuple(f"{name}.gz" for name in _IDX_FILES)

_SOURCES: Final = {
    "fashion-mnist": _Source(
        class_name="FashionMNIST",
        folder="FashionMNIST/raw",
        train_files=_IDX_PACKED,
        unpacked=_IDX_FILES,
        label_names=None,
    ),
    "kmnist": _Source(
        class_name="KMNIST",
        folder="KMNIST/raw",
        train_files=_IDX_PACKED,
        unpacked=_IDX_FILES,
        label_names=None,
    ),
    "qmnist": _Source(
        class_name="QMNIST",
        folder="QMNIST/raw",
        train_files=("qmnist-train-images-idx3-ubyte.gz", "qmnist-train-labels-idx2-int.gz"),
        test_files=("qmnist-test-images-idx3-ubyte.gz", "qmnist-test-labels-idx2-int.gz"),
        unpacked=("qmnist-*-images-idx3-ubyte", "qmnist-*-labels-idx2-int"),
    ),
    "emnist": _Source(
        class_name="EMNIST",
        folder="EMNIST/raw",
        train_files=("gzip.zip",),
        unpacked=("emnist-digits-*-images-idx3-ubyte", "emnist-digits-*-labels-idx1-ubyte"),
        # Of its splits this one has MNIST's ten classes, each equally often.
        options={"split": "digits"},
        transposed=True,
    ),
    "svhn": _Source(
        class_name="SVHN",
        folder="",
        train_files=("train_32x32.mat",),
        test_files=("test_32x32.mat",),
        unpacked=("*_32x32.mat",),
        split_option=True,
        layout="NCHW",
    ),
    "cifar10": _Source(
        class_name="CIFAR10",
        folder="",
        train_files=("cifar-10-python.tar.gz",),
        unpacked=("cifar-10-batches-py/batches.meta",),
        layout="NHWC",
        label_names=None,
    ),
    "celeba": _Source(
        class_name="CelebA",
        folder="celeba",
        train_files=(
            "img_align_celeba/ (img_align_celeba.zip, unpacked)",
            "list_attr_celeba.txt",
            "identity_CelebA.txt",
            "list_bbox_celeba.txt",
            "list_landmarks_align_celeba.txt",
            "list_eval_partition.txt",
        ),
        unpacked=("img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"),
        split_option=True,
        layout="files",
    ),
}

TORCHVISION_NAMES: Final = tuple(_SOURCES)
"""Names of these data sets; the module builtin describes them."""


def load_torchvision(
    name: str,
    *,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    root: Path,
    download: bool,
) -> ImageSet:
    """Load a data set of :data:`TORCHVISION_NAMES` from ``root``, in torchvision's layout.

    Raises:
        DataError: It is damaged, or not there and cannot be downloaded.
        MissingExtraError: A package that it needs is not installed.
    """
    dataset = _open(name, _SOURCES[name], split, root, download=download)
    return from_torchvision(name, dataset, size=size, channels=channels)


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
        raise DataError(_failure(name, source, split, root, error, download=download)) from error


def _failure(name: str, source: _Source, split: str, root: Path, error: Exception, *, download: bool) -> str:
    folder = root / source.folder
    files = (source.test_files or source.train_files) if split == "test" else source.train_files
    remedy = f"put {', '.join(files)} into {printable(folder)}"
    if all((folder / part.replace("*", split)).exists() for part in source.unpacked):
        return f"{name} in {printable(folder)} is damaged ({_reason(error)}): remove it, or {remedy} afresh"
    if not download:
        return f"{name} is not in {printable(folder)} and is not to be downloaded: {remedy}"
    return f"{name} could not be downloaded ({_reason(error)}): {remedy}"


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()) or type(error).__name__)[:_REASON_LENGTH]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torchvision prints off stdout, and let no download wait for ever."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(timeout)


def from_torchvision(
    name: str, dataset: VisionDataset, *, size: int | None, channels: int | None
) -> ImageSet:
    """Take the images and labels of an open torchvision data set.

    Args:
        name: One of :data:`TORCHVISION_NAMES`.
        dataset: An object of the torchvision class of that name.
        size: Height and width wanted, or ``None``.
        channels: 1 or 3, or ``None``.

    Raises:
        DataError: Its arrays are not what this class should hold.
    """
    source = _SOURCES[name]
    if source.layout == "files":
        return _from_celeba(name, dataset, size=size, channels=channels)
    images = torch.as_tensor(dataset.data)
    if images.dtype != torch.uint8 or images.ndim != len(source.layout):
        raise DataError(f"{name}: its images are no bytes of axes {source.layout}: the files are damaged")
    if source.layout == "NHW":
        images = images.unsqueeze(1)
    elif source.layout == "NHWC":
        images = images.permute(0, 3, 1, 2)
    if source.transposed:
        images = images.transpose(-1, -2)
    return ImageSet(
        images=convert_images(images, size=size, channels=channels, name=name),
        labels=_labels(dataset),
        label_names=source.label_names or tuple(dataset.classes),
        name=name,
    )


def _labels(dataset: VisionDataset) -> torch.Tensor:
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    labels = torch.as_tensor(np.asarray(labels)).long()
    # qmnist has eight facts of each image; the first is the digit.
    return labels[:, 0].contiguous() if labels.ndim > 1 else labels


def _from_celeba(name: str, dataset: VisionDataset, *, size: int | None, channels: int | None) -> ImageSet:
    folder = Path(dataset.root) / dataset.base_folder / "img_align_celeba"
    size = size or _CELEBA_WIDTH
    images = read_image_files(
        [folder / file for file in dataset.filename],
        size=size,
        channels=channels or 3,
        name=name,
        # Brought to a square with bars left and right, of which the centre has none.
        padded_size=math.ceil(size * _CELEBA_HEIGHT / _CELEBA_WIDTH),
    )
    return ImageSet(images=images, labels=None, label_names=None, name=name)
