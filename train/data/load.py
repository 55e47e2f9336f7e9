"""From what ``--data`` says to images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from infogan_tool.runtime.errors import DataError, did_you_mean
from infogan_tool.runtime.storage.atomic import printable
from infogan_tool.train.data.builtin import BUILTIN_NAMES, load_builtin
from infogan_tool.train.data.folder import FOLDER_KINDS, load_folder
from infogan_tool.train.data.imageset import ImageSet, check_wanted

__all__ = ["load_images", "load_test_images"]


_RENDERINGS = ("faces", "chairs")
"""Data sets of the paper that nobody may hand on, or that are nowhere to be had in a usual form."""


def load_images(
    source: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    root: Path | None = None,
    download: bool = True,
) -> ImageSet:
    """Load the training images of a data set.

    Args:
        source: One of :data:`BUILTIN_NAMES`, or the path of a folder; see
            :mod:`infogan_tool.train.data.folder` for the folders that are understood. A name goes before a
            folder of the same name, which is then written ``./mnist``.
        size: Height and width that every image is brought to: resized with its aspect kept, and padded
            to a square with the median colour of its border.
            ``None`` takes them as they are; they must then be square and all the same.
        channels: 1 (grey) or 3 (colour), to which every image is brought; ``None`` takes them as they are,
            and they must all be the same.
        root: Where a built-in data set is kept, in torchvision's layout; ``None`` is
            :func:`~infogan_tool.train.data.default_root`. ``mnist`` is part of this package and needs none.
        download: Whether a built-in data set that is not under ``root`` may be downloaded.

    Returns:
        At least one image, and the labels where there are some.

    Raises:
        DataError: The source is not there or cannot be used; one line that names the file and the remedy.
        UsageError: ``size`` or ``channels`` is out of range.
        MissingExtraError: A built-in data set needs a package that is not installed.
    """
    images = _load(source, "train", size, channels, root, download=download)
    assert images is not None, "every source has training images or is refused"
    return images


def load_test_images(
    source: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    root: Path | None = None,
    download: bool = True,
) -> ImageSet | None:
    """Load the test images of a data set, or ``None`` for a folder that has none.

    A folder's test images are its ``t10k-...`` files or its ``test`` sub-folder. Labels mean the same as in
    :func:`load_images`. Arguments and errors are those of :func:`load_images`.
    """
    return _load(source, "test", size, channels, root, download=download)


def _load(
    source: str,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    root: Path | None,
    *,
    download: bool,
) -> ImageSet | None:
    check_wanted(size, channels)
    if source in BUILTIN_NAMES:
        return load_builtin(source, split=split, size=size, channels=channels, root=root, download=download)
    return load_folder(_find_folder(source), split=split, size=size, channels=channels)


def _find_folder(source: str) -> Path:
    shown = printable(source)
    try:
        folder = Path(source).expanduser()
        found, is_folder = bool(source) and folder.exists(), folder.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder to expand ~ to
        raise DataError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not found and source in _RENDERINGS:
        raise DataError(
            f"the images of preset {source} cannot be downloaded: "
            "--data takes a folder of your own renderings"
        )
    if not found:
        near = did_you_mean(source.lower().replace("_", "-"), BUILTIN_NAMES)
        raise DataError(f"'{shown}' is neither a built-in data set{near} nor {FOLDER_KINDS}")
    if not is_folder:
        raise DataError(f"{shown} is not a folder: --data takes a built-in name or {FOLDER_KINDS}")
    return folder
