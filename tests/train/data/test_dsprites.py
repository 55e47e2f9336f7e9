"""dSprites as rendered here, against 320 of the published images.

``dsprites/frames.npz`` holds these images, packed to bits along the rows (``frames``), and the number of each
in the data set (``index``). They are part of dSprites by L. Matthey, I. Higgins, D. Hassabis and A. Lerchner
(2017), Apache-2.0 (``dsprites/LICENSE``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from infogan_tool.train.config.schema import DataConfig
from infogan_tool.train.data import ComputedImages, ImageSet, load_images, load_test_images
from infogan_tool.train.data.convert import convert_images
from infogan_tool.train.data.dsprites import render_dsprites
from infogan_tool.train.data.opening import open_data
from infogan_tool.train.data.source import data_digest

FRAMES = Path(__file__).parent / "dsprites" / "frames.npz"
SIZES = (3, 6, 40, 32, 32)


@pytest.fixture(scope="module")
def dsprites() -> ImageSet:
    return load_images("dsprites")


@pytest.mark.parametrize(
    ("shape", "frames", "wrong", "object_pixels"),
    [(0, 64, 8, 20_488), (1, 64, 0, 15_664), (2, 192, 14, 40_858)],
    ids=["square", "ellipse", "heart"],
)
def test_published_images_are_reproduced(
    dsprites: ImageSet, shape: int, frames: int, wrong: int, object_pixels: int
) -> None:
    with np.load(FRAMES) as file:
        published, index = np.unpackbits(file["frames"], axis=-1), torch.from_numpy(file["index"]).long()
    assert dsprites.labels is not None
    chosen = dsprites.labels[index] == shape
    published = published[chosen.numpy()] > 0
    rendered = dsprites.images[index[chosen]][:, 0].numpy()
    assert set(np.unique(rendered)) == {0, 255}
    assert (len(published), published.sum()) == (frames, object_pixels)
    assert ((rendered > 0) != published).sum() <= wrong + 2  # another processor may round another way
    assert wrong + 2 <= 0.002 * object_pixels


def test_order_and_factors_are_those_of_the_original(dsprites: ImageSet) -> None:
    factors = dsprites.factors
    assert factors is not None
    assert factors.names == ("shape", "scale", "orientation", "x", "y")
    assert factors.sizes == SIZES
    assert len(dsprites) == len(factors.values) == 737_280
    assert factors.levels[1] == (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert factors.levels[2][-1] == pytest.approx(2 * np.pi)
    assert factors.levels[3] == tuple(np.arange(32) / 31)
    for index in (0, 1, 32, 500_000, 737_279):
        assert tuple(factors.values[index].tolist()) == np.unravel_index(index, SIZES)
    assert dsprites.label_names == ("square", "ellipse", "heart")
    assert load_test_images("dsprites") is None


def test_each_factor_does_what_its_name_says(dsprites: ImageSet) -> None:
    def image(shape: int, scale: int, orientation: int, x: int, y: int) -> np.ndarray:
        index = torch.tensor([np.ravel_multi_index((shape, scale, orientation, x, y), SIZES)])
        return dsprites.images[index][0, 0].numpy() > 0

    def centre(picture: np.ndarray) -> np.ndarray:
        return np.argwhere(picture).mean(axis=0) + 0.5  # row, column

    for shape in (0, 1):  # the centre of the heart is not its centre of mass
        for x, y in ((0, 0), (31, 0), (7, 22)):
            expected = 16 + 32 * np.array([y, x]) / 31
            np.testing.assert_allclose(centre(image(shape, 5, 9, x, y)), expected, atol=0.2)
    areas = [image(0, scale, 0, 3, 4).sum() for scale in range(6)]
    np.testing.assert_allclose(areas, [(19.2 * s) ** 2 for s in np.arange(0.5, 1.01, 0.1)], rtol=0.12)
    np.testing.assert_array_equal(image(2, 3, 0, 3, 4), image(2, 3, 39, 3, 4))  # 0 and 360 degrees
    # Turned by 18 of 39 steps, an ellipse points from the lower left to the upper right, or the other way.
    turned = np.argwhere(image(1, 5, 5, 16, 16)) - centre(image(1, 5, 5, 16, 16))
    assert np.cov(turned.T)[0, 1] < -5


def test_images_do_not_depend_on_their_batch(dsprites: ImageSet) -> None:
    index = torch.randint(737_280, (2100,), generator=torch.Generator().manual_seed(0))
    together = dsprites.images[index]
    torch.testing.assert_close(together[1500:1510], dsprites.images[index[1500:1510]])
    torch.testing.assert_close(dsprites.images[5:9], render_dsprites(torch.arange(5, 9)))
    subset = dsprites.subset(index)
    assert isinstance(subset.images, torch.Tensor)
    assert subset.labels is not None
    assert subset.factors is not None
    torch.testing.assert_close(subset.images, together)
    torch.testing.assert_close(subset.factors.values[:, 0], subset.labels)


@pytest.mark.parametrize("size", [28, 32, 96])
def test_resizing_is_that_of_image_files(size: int) -> None:
    index = torch.arange(0, 737_280, 30_011)
    resized = load_images("dsprites", size=size, channels=3).images[index]
    files = convert_images(render_dsprites(index), size=size, channels=3, name="dsprites")
    assert resized.shape == (len(index), 3, size, size)
    assert (resized.int() - files.int()).abs().max() <= 1


def test_colour_becomes_grey_as_that_of_image_files() -> None:
    colours = torch.randint(
        256, (20, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    for size in (None, 32):
        grey = ComputedImages((20, 3, 64, 64), lambda i: colours[i], size=size, channels=1)[:]
        files = convert_images(colours, size=size, channels=1, name="colours")
        assert grey.shape == files.shape
        assert (grey.int() - files.int()).abs().max() <= 2


def test_training_gets_the_computed_images_and_a_sample_for_the_export() -> None:
    data = open_data(None, DataConfig(source="dsprites", size=32), device=torch.device("cpu"), stream=None)
    assert isinstance(data.images, ComputedImages)
    assert (len(data.images), data.size, data.channels) == (737_280, 32, 1)
    assert data.block is not None
    assert len(data.block) == 20_000
    again = load_images("dsprites", size=32)
    assert data_digest(data.images) == data_digest(again.images)
    assert data_digest(data.images) != data_digest(load_images("dsprites", size=64).images)
