"""A data set from a folder.

A folder holds one of:

1. IDX files, named as MNIST's: ``train-images-idx3-ubyte`` (and ``train-labels-idx1-ubyte``, ``t10k-...``).
2. ``train`` (or ``training``) and optionally ``test`` (or ``testing``): two folders, each of kind 3 or 4.
   ``val``, ``valid`` and ``validation`` beside them are ignored. Upper and lower case are the same.
3. One sub-folder for each class, its images at any depth below; the folder's name is the class's name.
4. Images; there are no labels.

A folder that holds two kinds is refused. Hidden files, files without a suffix of an image format, and
sub-folders without an image are ignored. Images are in the order of their names, which is the same on every
machine. Symbolic links are followed; an image that is not a regular file is refused unopened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.formats import IMAGE_SUFFIXES
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.idx import find_part, read_idx_images, read_labels
from infogan_tool.train.data.image_files import native_format, read_image_files
from infogan_tool.train.data.imageset import ImageSet, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_KINDS: Final = (
    "a folder of images, of one sub-folder of images for each class, of train/ and test/ with such "
    "images, or of IDX files named as MNIST's (train-images-idx3-ubyte)"
)
"""The supported folders, for messages."""

_SPLIT_FOLDERS: Final = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_IGNORED: Final = ("val", "valid", "validation")
_NAME_LENGTH: Final = 100


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
    """Name of the folder."""

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
        name=_own_name(folder),
    )


def _load_idx(
    folder: Path, split: str, size: int | None, channels: int | None, limit: int | None
) -> ImageSet | None:
    other = next(_images_below(folder), None)
    if other is not None:
        raise DataError(
            f"{printable(folder)} holds IDX files and images ({printable(other.name)}): keep one kind"
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
    return ImageSet(
        images=convert_images(images[chosen], size=size, channels=channels, name=printable(path)),
        labels=None if labels is None else labels[chosen],
        label_names=None,
        name=_own_name(folder),
    )


# --- listing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """Images in order, and the class of each."""

    paths: list[Path]
    labels: list[int]
    class_names: tuple[str, ...] | None


def _list_split(folder: Path, split: str) -> _Listing | None:
    parts = _find_splits(folder)
    if not parts:
        return _list_images(folder, None) if split == "train" else None
    if "train" not in parts:
        raise DataError(f"{printable(folder)} has a folder {parts['test'].name} but no folder train")
    used = [part.name for part in parts.values()]
    for entry in _entries(folder):
        if entry.name in used or entry.name.lower() in _IGNORED:
            continue
        other = next(_images_at(entry), None)
        if other is not None:
            raise DataError(
                f"{printable(folder)} holds a folder {parts['train'].name} and images beside it "
                f"({printable(other.relative_to(folder))}): keep one kind"
            )
    if split not in parts:
        return None
    # Classes of both splits, so that labels of train and test agree.
    classes = sorted({name for part in parts.values() for name in _class_folders(part)})
    return _list_images(parts[split], classes)


def _find_splits(folder: Path) -> dict[str, Path]:
    parts: dict[str, Path] = {}
    for entry in _entries(folder):
        split = _SPLIT_FOLDERS.get(entry.name.lower())
        if split is None or not entry.is_dir():
            continue
        if split in parts:
            raise DataError(f"{printable(folder)} holds both {parts[split].name} and {entry.name}: keep one")
        parts[split] = Path(entry.path)
    return parts


def _list_images(folder: Path, classes: list[str] | None) -> _Listing:
    """List a folder of kind 3 or 4; ``classes`` are those of all splits, ``None``: of this folder."""
    flat = [Path(entry.path) for entry in _entries(folder) if _is_image(entry)]
    own = _class_folders(folder)
    if flat and own:
        raise DataError(
            f"{printable(folder)} holds images ({printable(flat[0].name)}) and folders of images "
            f"({printable(own[0])}): keep one kind"
        )
    if flat:
        return _Listing(paths=flat, labels=[], class_names=None)
    paths, labels = [], []
    for label, name in enumerate(classes or own):
        if name in own:
            below = list(_images_below(folder / name))
            paths += below
            labels += [label] * len(below)
    if not paths:
        raise DataError(f"{printable(folder)} holds no images: --data takes {FOLDER_KINDS}")
    return _Listing(
        paths=paths, labels=labels, class_names=tuple(_shown_name(name) for name in classes or own)
    )


def _class_folders(folder: Path) -> list[str]:
    """Return the names of the sub-folders that have an image, sorted."""
    folders = [entry for entry in _entries(folder) if entry.is_dir()]
    return [entry.name for entry in folders if next(_images_below(Path(entry.path)), None)]


def _images_at(entry: os.DirEntry[str], above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    if entry.is_dir():
        yield from _images_below(Path(entry.path), above)
    elif _is_image(entry):
        yield Path(entry.path)


def _images_below(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield the images at any depth, sorted by name; ``above`` are the folders above, for circular links."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{printable(folder)} is a link to a folder that contains it")
    for entry in _entries(folder):
        yield from _images_at(entry, above | {here})


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries that are not hidden, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)


def _is_image(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir() or not entry.name.lower().endswith(IMAGE_SUFFIXES):
        return False
    if not entry.is_file():
        raise DataError(f"{printable(entry.path)} is named as an image but is not a regular file")
    return True


def _own_name(folder: Path) -> str:
    return _shown_name(folder.resolve().name) or "folder"


def _shown_name(name: str) -> str:
    return printable(name)[:_NAME_LENGTH]
