"""Data sets known by name.

============= ==================================================== ==================== ================
name          what                                                 images             train / test
============= ==================================================== ==================== ================
mnist         handwritten digits (part of this package)            28 x 28, grey        60,000 / 10,000
fashion-mnist articles of clothing                                 28 x 28, grey        60,000 / 10,000
kmnist        ten cursive Japanese characters                      28 x 28, grey        60,000 / 10,000
qmnist        MNIST with its whole test set                        28 x 28, grey        60,000 / 60,000
emnist        handwritten digits: EMNIST's split "digits", upright 28 x 28, grey        240,000 / 40,000
svhn          house numbers, cropped                               32 x 32, colour      73,257 / 26,032
cifar10       ten kinds of animals and vehicles                    32 x 32, colour      50,000 / 10,000
celeba        faces: the centre square of 178 x 218; no labels     178 x 178, colour    162,770 / 19,962
dsprites      dSprites: shapes, known factors                      64 x 64, grey        737,280 / 0
rooms         an object in a room, known factors                   64 x 64, colour      480,000 / 0
============= ==================================================== ==================== ================

dsprites and rooms are computed, when an image is needed. The others but mnist are downloaded by torchvision,
which verifies them by MD5.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, Literal

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.idx import read_idx_images, read_labels
from infogan_tool.train.data.imageset import ImageSet, choose
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES

_DIGITS: Final = tuple("0123456789")
_MNIST: Final = Path(__file__).with_name("mnist")

_MNIST_MD5: Final = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the uncompressed files, as the authors published them."""

BUILTIN_NAMES: Final = ("mnist", *TORCHVISION_NAMES, "dsprites", "rooms")
"""Names for :func:`~infogan_tool.train.data.load_images`."""


def default_root() -> Path:
    """Return the folder of downloaded data sets; it may not exist.

    ``INFOGAN_TOOL_DATA`` if it is set, otherwise ``infogan-tool/data`` in the user's cache folder:
    ``XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches`` on macOS, ``LOCALAPPDATA`` on Windows.

    Raises:
        DataError: There is no home folder.
    """
    chosen = os.environ.get("INFOGAN_TOOL_DATA")
    try:
        return Path(chosen).expanduser() if chosen else _cache_folder() / "infogan-tool" / "data"
    except RuntimeError as error:
        raise DataError(
            f"there is no folder for data sets ({error}): set INFOGAN_TOOL_DATA to one"
        ) from error


def _cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    chosen = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification says to ignore a relative path.
    if chosen and Path(chosen).is_absolute():
        return Path(chosen)
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def load_mnist(
    folder: Path = _MNIST,
    *,
    split: Literal["train", "test"],
    size: int | None,
    channels: int | None,
    limit: int | None = None,
) -> ImageSet:
    """Load MNIST, at most ``limit`` images, from four gzipped files, checked against the authors' MD5.

    Raises:
        DataError: A file is missing or differs from the published one.
    """
    prefix = "train" if split == "train" else "t10k"
    images_name, labels_name = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    images = read_idx_images(folder / f"{images_name}.gz", md5=_MNIST_MD5[images_name])
    labels = read_labels(folder / f"{labels_name}.gz", len(images), md5=_MNIST_MD5[labels_name])
    chosen = choose(len(images), limit)
    return ImageSet(
        images=convert_images(images[chosen], size=size, channels=channels, name="mnist"),
        labels=labels[chosen],
        label_names=_DIGITS,
        name="mnist",
    )
