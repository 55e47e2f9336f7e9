"""A data set from a folder.

A folder holds one of:

1. IDX files, named as MNIST's: ``train-images-idx3-ubyte`` (and ``train-labels-idx1-ubyte``, ``t10k-...``).
2. ``train`` (or ``training``) and optionally ``test`` (or ``testing``): two folders, each of kind 3 or 4.
   ``val``, ``valid`` and ``validation`` beside them are ignored. Upper and lower case are the same.
3. One sub-folder for each class, its images at any depth below; the folder's name is the class's name.
4. Images; there are no labels.

A folder that holds two kinds is refused. Hidden files, files without a suffix of an image format, and
sub-folders without an image are ignored. Images are in the order of their names, which is the same on every
machine. Symbolic links are followed, but not those to a folder that contains them; an image that is not a
regular file is refused unopened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch

from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.bulk.inputs.walk import walk
from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.builtin import BUILTIN_NAMES
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.idx import find_part, read_idx_images, read_labels
from infogan_tool.train.data.image_files import native_format, read_image_files
from infogan_tool.train.data.imageset import ImageSet, choose

if TYPE_CHECKING:
    from collections.abc import Collection

FOLDER_KINDS: Final = (
    "a folder of images, of one sub-folder of images for each class, of train/ and test/ with such "
    "images, or of IDX files named as MNIST's (train-images-idx3-ubyte)"
)
"""The supported folders, for messages."""

_SPLIT_FOLDERS: Final = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_IGNORED: Final = ("val", "valid", "validation")
_NAME_LENGTH: Final = 100
_IDX_SETS: Final = ("mnist", "fashion-mnist", "kmnist")
"""Built-in data sets that their authors publish as IDX files of MNIST's names and shapes."""
_IDX_SHAPES: Final = ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
"""Training and test images of these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderImages:
    """Image files of a folder that have been found and not read."""

    paths: list[Path]
    """The files, in order."""
    size: int
    """Height and width that images are read at."""
    channels: int
    """Channels that images are read with: 1 or 3."""
    labels: list[int]
    """Class of each image; empty without classes."""
    class_names: tuple[str, ...] | None
    """Name of each class."""
    name: str
    """Name of the folder; ``rooms-folder`` where ``rooms`` is a built-in data set."""

    def subset(self, index: torch.Tensor | slice) -> FolderImages:
        """Return the files of an index ``(n,)`` int64 or a slice, with their labels."""
        rows = torch.arange(len(self.paths))[index].tolist()
        return replace(
            self,
            paths=[self.paths[row] for row in rows],
            labels=[self.labels[row] for row in rows] if self.labels else [],
        )

    def load(self) -> ImageSet:
        """Read all images.

        Raises:
            DataError: One cannot be read, or they do not fit into memory.
        """
        return ImageSet(
            images=read_image_files(self.paths, size=self.size, channels=self.channels, name=self.name),
            labels=None if self.class_names is None else torch.tensor(self.labels, dtype=torch.int64),
            label_names=self.class_names,
            name=self.name,
        )


def open_folder(
    folder: Path,
    *,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    limit: int | None = None,
) -> FolderImages | ImageSet | None:
    """Find the images of a folder; IDX files are read.

    Args:
        folder: An existing folder.
        split: ``"test"``: the t10k files, or the ``test`` sub-folder.
        size: Height and width; ``None``: as in the data, which must all have the same.
        channels: 1 or 3; ``None``: as in the data.
        limit: Read at most so many images of IDX files, chosen at random, always the same.

    Returns:
        The images; ``None`` if the folder has no test part and ``split`` is ``"test"``.

    Raises:
        DataError: The folder or a file in it cannot be used; the message names the file.
    """
    try:
        with os.scandir(folder):  # so that the error of an unreadable folder names the folder
            pass
        if any(find_part(folder, part, "images") for part in ("train", "test")):
            return _load_idx(folder, split, size, channels, limit)
        listing = _list_split(folder, split)
    except OSError as error:
        place = printable(error.filename or folder)
        raise DataError(f"{place} cannot be read: {error.strerror or error}") from error
    if listing is None:
        return None
    size, channels = native_format(listing.paths, size, channels)
    return FolderImages(
        paths=listing.paths,
        size=size,
        channels=channels,
        labels=listing.labels,
        class_names=listing.class_names,
        name=_own_name(folder, not_of=BUILTIN_NAMES),
    )


def _load_idx(
    folder: Path, split: str, size: int | None, channels: int | None, limit: int | None
) -> ImageSet | None:
    if others := _find_images(folder):
        raise DataError(
            f"{printable(folder)} holds IDX files and images ({printable(others[0][-1])}): keep one kind"
        )
    path = find_part(folder, split, "images")
    if path is None and split == "test":
        return None
    if path is None:
        raise DataError(f"{printable(folder)} has t10k files but no train-images-idx3-ubyte")
    images = read_idx_images(path)
    labels_path = find_part(folder, split, "labels")
    labels = None if labels_path is None else read_labels(labels_path, len(images))
    chosen = choose(len(images), limit)
    not_held = [name for name in BUILTIN_NAMES if name not in _IDX_SETS or images.shape not in _IDX_SHAPES]
    return ImageSet(
        images=convert_images(images[chosen], size=size, channels=channels, name=printable(path)),
        labels=None if labels is None else labels[chosen],
        label_names=None,
        name=_own_name(folder, not_of=not_held),
    )


# --- listing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """Images in order, and the class of each."""

    paths: list[Path]
    labels: list[int]
    class_names: tuple[str, ...] | None


_Parts = tuple[str, ...]
"""The parts of the path of an image below a folder."""


def _list_split(folder: Path, split: str) -> _Listing | None:
    images = _find_images(folder)
    used = _find_splits(folder, images)
    if not used:
        return _list_images(folder, images, None) if split == "train" else None
    if "train" not in used:
        raise DataError(f"{printable(folder)} has a folder {used['test']} but no folder train with images")
    for first, *below in images:
        if first not in used.values() and not (below and first.lower() in _IGNORED):
            raise DataError(
                f"{printable(folder)} holds a folder {used['train']} and images beside it "
                f"({printable(Path(first, *below))}): keep one kind"
            )
    if split not in used:
        return None
    part = {name: [parts[1:] for parts in images if parts[0] == name] for name in used.values()}
    # Classes of both splits, so that labels of train and test agree.
    classes = {first for below in part.values() for first, *rest in below if rest}
    return _list_images(folder / used[split], part[used[split]], sorted(classes))


def _find_splits(folder: Path, images: list[_Parts]) -> dict[str, str]:
    """Return the names of the folders with images for training and testing by split."""
    used: dict[str, str] = {}
    for name in sorted({first for first, *below in images if below}):
        split = _SPLIT_FOLDERS.get(name.lower())
        if split in used:
            raise DataError(f"{printable(folder)} holds both {used[split]} and {name}: keep one")
        if split is not None:
            used[split] = name
    return used


def _list_images(folder: Path, images: list[_Parts], classes: list[str] | None) -> _Listing:
    """List a folder of kind 3 or 4; ``classes`` are those of all splits, ``None``: of this folder."""
    flat = [first for first, *below in images if not below]
    own = sorted({first for first, *below in images if below})
    if flat and own:
        raise DataError(
            f"{printable(folder)} holds images ({printable(flat[0])}) and folders of images "
            f"({printable(own[0])}): keep one kind"
        )
    if not images:
        raise DataError(f"{printable(folder)} holds no images: --data takes {FOLDER_KINDS}")
    paths = [folder.joinpath(*parts) for parts in images]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{printable(path)} is named as an image but is not a regular file")
    if flat:
        return _Listing(paths=paths, labels=[], class_names=None)
    label = {name: index for index, name in enumerate(classes or own)}
    return _Listing(
        paths=paths,
        labels=[label[first] for first, *_ in images],
        class_names=tuple(_shown_name(name) for name in label),
    )


def _find_images(folder: Path) -> list[_Parts]:
    """Return the images at any depth, in order."""
    images, length = [], len(os.path.join(folder, ""))  # noqa: PTH118
    for path in walk(str(folder), lambda path: path.lower().endswith(IMAGE_SUFFIXES)):
        if isinstance(path, Failed):
            raise DataError(path.message)
        images.append(Path(path[length:]).parts)
    return images


def _own_name(folder: Path, *, not_of: Collection[str]) -> str:
    """Return the name of a folder, with an ending where it is the name of a data set that it does not hold.

    By its name alone, the preprocessing of a bundle is chosen and a built-in data set is loaded again.
    """
    name = _shown_name(folder.resolve().name) or "folder"
    return f"{name}-folder" if name in not_of else name


def _shown_name(name: str) -> str:
    return printable(name)[:_NAME_LENGTH]
