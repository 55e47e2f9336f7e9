"""From what a training is given to images: size, channels, and data sets that cannot be sent to a process."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from data_fixtures import random_images, write_flat

from infogan_tool.runtime.errors import DataError
from infogan_tool.train import fit, preset
from infogan_tool.train.config.schema import DataConfig
from infogan_tool.train.data import load_images, opening
from infogan_tool.train.data.opening import open_data
from infogan_tool.train.data.stream import StreamedImages
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.plan import plan_training

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.train.data.source import TrainingData

CPU = torch.device("cpu")


def opened(data: Any = None, **values: Any) -> TrainingData:  # noqa: ANN401 - open_data's
    return open_data(data, DataConfig(**values), device=CPU, stream=None)


class Unpicklable:
    """Eight images, read by a function that pickle does not know."""

    def __init__(self) -> None:
        self.read = lambda index: np.full((8, 8), index, np.uint8)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> object:
        return self.read(index)


def test_a_data_set_that_cannot_be_pickled_is_read_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.context._default_context  # type: ignore[attr-defined]
    monkeypatch.setattr(context, "_actual_context", multiprocessing.get_context("spawn"))
    images = open_data(Unpicklable(), DataConfig(), device=CPU, stream=True).images
    assert isinstance(images, StreamedImages)
    images.read_ahead([[3, 1], [0]])
    assert images[torch.tensor([3, 1])][:, 0, 0, 0].tolist() == [3, 1]
    assert opened(Unpicklable()).images[5].unique().tolist() == [5]


def test_computed_images_have_the_size_and_channels_of_the_config() -> None:
    data = opened(load_images("dsprites"), size=32, channels=3)
    expected = load_images("dsprites", size=32, channels=3)
    assert (data.size, data.channels) == (32, 3)
    index = torch.tensor([7, 300_000])
    assert torch.equal(data.images[index], expected.images[index])


class TwoImages:
    """A data set of two black images."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> object:
        assert index == 0, "the first image tells the size"
        return np.zeros((self.size, self.size), np.uint8)


@pytest.mark.parametrize("size", [4, 600])
def test_images_that_are_too_small_or_too_large_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    images = random_images(2, size, size)
    write_flat(tmp_path / "images", images)
    image_set = load_images(str(tmp_path / "images"))
    monkeypatch.setattr(opening.FolderImages, "load", None)
    message = f"the images are {size} x {size}, training takes 8 to 512 pixels a side: --size"
    for data in (images, image_set, TwoImages(size)):
        with pytest.raises(DataError, match=message):
            opened(data)
    with pytest.raises(DataError, match=message):
        opened(source=str(tmp_path / "images"))


def test_one_image_without_a_category_needs_no_batch_to_cluster() -> None:
    config = preset("mnist", latent={"categorical": []})
    with pytest.raises(DataError, match="batch"):
        plan_training(config, random_images(1, 28, 28), device="cpu")


def test_an_unreadable_streamed_image_leaves_no_run_folder(tmp_path: Path) -> None:
    write_flat(tmp_path / "images", random_images(4, 8, 8))
    (tmp_path / "images" / "p2.png").write_bytes(b"x")
    config = preset("mlp", data={"size": 8, "channels": 1}, schedule={"batch_size": 2})
    with pytest.raises(DataError, match=r"p2\.png"):
        fit(config, tmp_path / "images", out=tmp_path / "run", device="cpu", options=RunOptions(stream=True))
    assert not (tmp_path / "run").exists()
