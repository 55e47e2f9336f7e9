"""Arrays are converted exactly as image files are, and an image set refuses invalid parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from data_fixtures import random_images
from PIL import Image

from infogan_tool.runtime.errors import DataError
from infogan_tool.runtime.images.convert import fit
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.train.data import ImageSet
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.imageset import check_fits


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("have", [1, 3])
@pytest.mark.parametrize("shape", [(28, 28), (64, 64), (20, 31), (31, 20), (1, 9)])
@pytest.mark.parametrize("size", [5, 28, 32])
def test_arrays_are_converted_as_image_files_are(
    shape: tuple[int, int], have: int, channels: int, size: int
) -> None:
    images = random_images(3, *shape, have)
    converted = convert_images(
        torch.from_numpy(images).permute(0, 3, 1, 2), size=size, channels=channels, name="test"
    )
    assert converted.shape == (3, channels, size, size)
    assert converted.is_contiguous()
    spec = ImageSpec(size=size, channels=channels, low=0.0, high=1.0)
    for image, result in zip(images, converted, strict=True):
        expected = fit(Image.fromarray(image if have == 3 else image[:, :, 0]), spec)
        assert np.array_equal(result.numpy(), expected.transpose(2, 0, 1))


def test_images_that_need_no_change_are_not_copied() -> None:
    images = torch.from_numpy(random_images(4, 1, 8, 8))
    assert convert_images(images, size=8, channels=None, name="test") is images
    assert convert_images(images, size=None, channels=1, name="test") is images


def make_set(**changes: object) -> ImageSet:
    parts = {
        "images": torch.zeros(4, 1, 8, 8, dtype=torch.uint8),
        "labels": torch.tensor([0, 1, 1, 0]),
        "label_names": ("a", "b"),
        "name": "set",
    }
    return ImageSet(**(parts | changes))


def test_image_set() -> None:
    images = make_set()
    assert (len(images), images.size, images.channels) == (4, 8, 1)
    assert make_set(labels=None, label_names=None).labels is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(4, 1, 8, 8)}, "set: images must be one contiguous uint8 block"),
        ({"images": torch.zeros(4, 8, 8, dtype=torch.uint8)}, "one contiguous uint8 block"),
        ({"images": torch.zeros(4, 1, 8, 9, dtype=torch.uint8)[..., :8]}, "one contiguous uint8 block"),
        (
            {"images": torch.zeros(4, 1, 8, 9, dtype=torch.uint8)},
            "with 1 or 3 channels, not 8 x 9 x 1",
        ),
        (
            {"images": torch.zeros(4, 2, 8, 8, dtype=torch.uint8)},
            "with 1 or 3 channels, not 8 x 8 x 2",
        ),
        ({"images": torch.zeros(0, 1, 8, 8, dtype=torch.uint8)}, "there is no image"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "4 images need as many int64 labels"),
        ({"labels": torch.zeros(4)}, "4 images need as many int64 labels"),
        ({"labels": torch.tensor([0, 1, 2, 0])}, "a label has no name"),
        ({"labels": torch.tensor([0, -1, 1, 0]), "label_names": None}, "a label has no name"),
    ],
)
def test_image_set_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_set(**changes)


def test_more_than_the_memory_is_refused() -> None:
    with pytest.raises(DataError, match=r"set: its images need 1,000,000\.0 GB, .* \(--size makes"):
        check_fits(10**15, "set")
    check_fits(10**6, "set")
