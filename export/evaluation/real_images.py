"""Real images at the size and channels of a bundle: training and test images, and random subsets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.data import ImageSet


@dataclass(frozen=True, kw_only=True, slots=True)
class DataInfo:
    """Description of the real images."""

    name: str
    """Name of the data set; never a path."""
    train_count: int
    """Number of training images; categories are matched to labels on them."""
    scored_count: int
    """Number of images that scores are computed on."""
    scored_on: str
    """``"test"``, or ``"train"`` where the data set has no test images."""
    label_names: tuple[str, ...] | None
    """Names of the labels; None without labels."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RealImages:
    """The training and test images of a data set."""

    train: ImageSet
    """Training images: categories are matched to labels on them, and the evaluation classifier is fitted."""
    test: ImageSet | None
    """Test images; None where the data set has none."""

    @property
    def scored(self) -> ImageSet:
        """The images that scores are computed on: the test images, else the training images."""
        return self.test or self.train

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Name of each label; None where the training images or the scored images have no labels."""
        if self.train.labels is None or self.scored.labels is None:
            return None
        count = 1 + max(int(self.train.labels.max()), int(self.scored.labels.max()))
        return self.train.label_names or tuple(str(i) for i in range(count))

    def describe(self) -> DataInfo:
        """Return what the results record of the images."""
        return DataInfo(
            name=self.train.name,
            train_count=len(self.train),
            scored_count=len(self.scored),
            scored_on="train" if self.test is None else "test",
            label_names=self.label_names,
        )


def load_real_images(
    source: str,
    image: ImageSpec,
    *,
    download: bool = True,
    factors: bool = False,
    limit: int | None = None,
) -> RealImages:
    """Load the images of ``source``, named as in ``train --data``, at a bundle's size and channels.

    Of a data set that is computed, 20,000 images are chosen at random, always the same. ``factors`` reads the
    factors of a folder too; ``limit`` is the greatest number of training images, and of test images.

    Raises:
        DataError: They do not exist or cannot be used.
    """
    size, channels = image.size, image.channels
    train = load_images(source, size=size, channels=channels, download=download, factors=factors, limit=limit)
    test = load_test_images(
        source, size=size, channels=channels, download=download, factors=factors, limit=limit
    )
    return RealImages(train=train.sample(), test=test)


def to_nhwc(images: ImageSet) -> NDArray[np.uint8]:
    """Return the images as a bundle takes them: uint8 ``(N, H, W, C)``."""
    nhwc: NDArray[np.uint8] = images.images[:].permute(0, 2, 3, 1).numpy()
    return nhwc


def random_subset(images: NDArray[np.uint8], limit: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return at most ``limit`` of the images ``(N, ...)``, chosen at random, in their order."""
    if len(images) <= limit:
        return images
    chosen: NDArray[np.uint8] = images[np.sort(rng.choice(len(images), limit, replace=False))]
    return chosen
