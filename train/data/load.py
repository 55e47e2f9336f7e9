"""From the value of ``--data`` to images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from infogan_tool.runtime.errors import DataError, UsageError, did_you_mean
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.builtin import BUILTIN_NAMES, default_root, load_mnist
from infogan_tool.train.data.dsprites import load_dsprites
from infogan_tool.train.data.factors_file import read_factors
from infogan_tool.train.data.folder import FOLDER_KINDS, FolderImages, open_folder
from infogan_tool.train.data.imageset import MAX_SIZE, ImageSet, choose
from infogan_tool.train.data.rooms import load_rooms
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES, load_torchvision

GIVEN_IN_PYTHON: Final = "<python>"
"""The source of images that were not loaded by name, in a run's config."""
_COMPUTED = {"dsprites": load_dsprites, "rooms": load_rooms}
"""Data sets that are rendered here, without test images."""
_RENDERINGS = ("faces", "chairs")
"""Data sets of the paper that cannot be downloaded: one has to render the images."""


def load_images(
    source: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    root: Path | None = None,
    download: bool = True,
    factors: bool = False,
    limit: int | None = None,
) -> ImageSet:
    """Load the training images of a data set.

    Args:
        source: One of :data:`BUILTIN_NAMES`, or the path of a folder as described in
            :mod:`infogan_tool.train.data.folder`. A name takes precedence over a folder of the same name,
            which is then written ``./mnist``.
        size: Height and width of the result: each image is resized, keeping its aspect ratio, and padded to a
            square with the median colour of its border. ``None``: as in the data; all images must then be
            square and of one size.
        channels: 1 (grey) or 3 (colour). ``None``: as in the data; all images must then have the same.
        root: Folder of built-in data sets, in torchvision's layout; ``None``:
            :func:`~infogan_tool.train.data.default_root`. ``mnist`` is part of this package, ``dsprites`` and
            ``rooms`` are computed.
        download: Whether a built-in data set that is not under ``root`` may be downloaded.
        factors: Whether to read the factors in a folder's ``factors.csv``. They are for evaluation only.
        limit: Load at most so many images: of more, some at random, always the same, in one block.

    Returns:
        At least one image, and the labels and factors if the source has some.

    Raises:
        DataError: The source does not exist or cannot be used; names the file and a fix.
        UsageError: ``size`` or ``channels`` is out of range.
        MissingExtraError: A built-in data set needs a package that is not installed.
    """
    images = _load(source, "train", size, channels, root, download=download, factors=factors, limit=limit)
    assert images is not None, "every source has training images or is refused"
    return images


def load_test_images(
    source: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    root: Path | None = None,
    download: bool = True,
    factors: bool = False,
    limit: int | None = None,
) -> ImageSet | None:
    """Load the test images of a data set; ``None`` where it has none.

    ``dsprites`` and ``rooms`` have none. A folder's test images are its ``t10k-...`` files or its ``test``
    sub-folder. Labels are those of :func:`load_images`. Arguments and errors are those of
    :func:`load_images`.
    """
    return _load(source, "test", size, channels, root, download=download, factors=factors, limit=limit)


def _load(
    source: str,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    root: Path | None,
    *,
    download: bool,
    factors: bool,
    limit: int | None,
) -> ImageSet | None:
    _check_format(size, channels)
    if source == "mnist":
        return load_mnist(split=split, size=size, channels=channels, limit=limit)
    if source in _COMPUTED:
        if split == "test":
            return None
        computed = _COMPUTED[source](size=size, channels=channels)
        return computed if limit is None else computed.sample(limit)
    if source in TORCHVISION_NAMES:
        root = root or default_root()
        return load_torchvision(
            source, split=split, size=size, channels=channels, root=root, download=download, limit=limit
        )
    folder = _find_folder(source)
    found = open_folder(folder, split=split, size=size, channels=channels, limit=limit)
    if not isinstance(found, FolderImages):
        return found
    index = choose(len(found.paths), limit)
    # Before the images, which take longer.
    known = read_factors(folder, found.paths) if factors else None
    return replace(found.subset(index).load(), factors=None if known is None else known.subset(index))


def open_source(source: str, *, size: int | None, channels: int | None) -> FolderImages | ImageSet:
    """Return what :func:`load_images` loads, but for the image files of a folder, which are not read yet."""
    if source in BUILTIN_NAMES:
        return load_images(source, size=size, channels=channels)
    _check_format(size, channels)
    found = open_folder(_find_folder(source), split="train", size=size, channels=channels)
    assert found is not None, "every source has training images or is refused"
    return found


def _check_format(size: int | None, channels: int | None) -> None:
    if size is not None and not 1 <= size <= MAX_SIZE:
        raise UsageError(f"size must be from 1 to {MAX_SIZE}, not {size}")
    if channels not in (None, 1, 3):
        raise UsageError(f"channels must be 1 (grey) or 3 (colour), not {channels}")


def _find_folder(source: str) -> Path:
    shown = printable(source)
    if source == GIVEN_IN_PYTHON:
        raise DataError("the images of this run were given in Python: name a folder of them with --data")
    try:
        folder = Path(source).expanduser()
        found, is_folder = bool(source) and folder.exists(), folder.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder to expand ~ to
        raise DataError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not found and source in _RENDERINGS:
        raise DataError(
            f"the images of preset {source} cannot be downloaded: "
            "--data takes a folder of your own renderings (examples/renderings makes one)"
        )
    if not found:
        near = did_you_mean(source.lower().replace("_", "-"), BUILTIN_NAMES)
        raise DataError(f"'{shown}' is neither a built-in data set{near} nor {FOLDER_KINDS}")
    if not is_folder:
        raise DataError(f"{shown} is not a folder: --data takes a built-in name or {FOLDER_KINDS}")
    return folder
