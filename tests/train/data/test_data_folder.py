"""Folders of images: which are understood, in which order, and how they are brought to one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from data_fixtures import random_images, write_classes, write_flat, write_image
from idx_files import write_idx
from PIL import Image

from infogan_tool.runtime.errors import DataError, UsageError
from infogan_tool.train.data import load_images, load_test_images

if TYPE_CHECKING:
    from pathlib import Path

GREY = random_images(6, 8, 8)
COLOUR = random_images(6, 8, 8, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shapes"


# --- what is understood --------------------------------------------------------------------------------


def test_flat_grey_folder(folder: Path) -> None:
    write_flat(folder, GREY)
    images = load_images(str(folder))
    assert np.array_equal(images.images, GREY[:, None])
    assert images.images.is_contiguous()
    assert images.labels is None
    assert images.label_names is None
    assert images.name == "shapes"
    assert load_test_images(str(folder)) is None


def test_flat_colour_folder(folder: Path) -> None:
    write_flat(folder, COLOUR)
    assert np.array_equal(load_images(str(folder)).images, COLOUR.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("end", [".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".PNG"])
def test_lossless_formats(folder: Path, end: str) -> None:
    folder.mkdir()
    Image.fromarray(COLOUR[0]).save(folder / f"p{end}", **({"lossless": True} if end == ".webp" else {}))
    assert np.array_equal(load_images(str(folder)).images[0], COLOUR[0].transpose(2, 0, 1))


@pytest.mark.parametrize("end", [".jpg", ".jpeg", ".gif", ".pgm"])
def test_other_formats(folder: Path, end: str) -> None:
    write_image(folder / f"p{end}", np.full((8, 8), 100, np.uint8))
    images = load_images(str(folder), channels=1).images  # the one grey of a GIF is a palette of one colour
    assert images.shape == (1, 1, 8, 8)
    assert images.unique().tolist() == [100]


def test_classes(folder: Path) -> None:
    write_classes(folder, ["b", "a"], GREY)
    images = load_images(str(folder))
    assert images.label_names == ("a", "b")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.labels.dtype == torch.int64
    assert np.array_equal(images.images[:, 0], GREY[[1, 3, 5, 0, 2, 4]])


def test_classes_have_their_images_at_any_depth(folder: Path) -> None:
    write_image(folder / "a" / "x" / "y" / "1.png", GREY[1])
    write_image(folder / "a" / "0.png", GREY[0])
    write_image(folder / "b" / "2.png", GREY[2])
    images = load_images(str(folder))
    assert images.labels.tolist() == [0, 0, 1]
    assert np.array_equal(images.images[:, 0], GREY[:3])


def test_a_circular_link_adds_no_image(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    (folder / "a" / "z").symlink_to(folder)
    assert load_images(str(folder)).labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_train_and_test_share_their_labels(folder: Path) -> None:
    write_classes(folder / "train", ["cat", "dog"], GREY[:4])
    write_classes(folder / "test", ["dog", "eel"], GREY[4:])
    write_image(folder / "val" / "cat" / "1.png", GREY[0])
    train, test = load_images(str(folder)), load_test_images(str(folder))
    assert train.label_names == test.label_names == ("cat", "dog", "eel")
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert test.labels.tolist() == [1, 2]
    assert train.name == test.name == "shapes"


@pytest.mark.parametrize("names", [("training", "testing"), ("Train", "Test")])
def test_other_names_of_train_and_test(folder: Path, names: tuple[str, str]) -> None:
    write_classes(folder / names[0], ["cat", "dog"], GREY[:4])
    write_classes(folder / names[1], ["dog"], GREY[4:])
    assert load_images(str(folder)).labels.tolist() == [0, 0, 1, 1]
    assert load_test_images(str(folder)).labels.tolist() == [1, 1]


def test_train_without_test(folder: Path) -> None:
    write_flat(folder / "train", GREY)
    assert len(load_images(str(folder))) == 6
    assert load_test_images(str(folder)) is None


@pytest.mark.parametrize("empty", ["test", "training", "train/cat"])
def test_folders_of_a_split_without_images_are_ignored(folder: Path, empty: str) -> None:
    write_flat(folder / "train", GREY)
    (folder / empty).mkdir()
    assert len(load_images(str(folder))) == 6
    assert load_test_images(str(folder)) is None


def test_an_empty_train_folder_beside_classes_is_ignored(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    (folder / "train").mkdir()
    assert load_images(str(folder)).label_names == ("a", "b")


def test_hidden_and_other_files_are_ignored(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "README.txt").write_text("x")
    (folder / "a" / ".hidden.png").write_bytes(b"x")
    (folder / "empty").mkdir()
    write_image(folder / ".cache" / "p.png", GREY[0])
    images = load_images(str(folder))
    assert len(images) == 6
    assert images.label_names == ("a", "b")


def test_links_to_elsewhere_are_followed(folder: Path, tmp_path: Path) -> None:
    write_flat(tmp_path / "elsewhere", GREY)
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    (folder / "b").mkdir()
    (folder / "b" / "p.png").symlink_to(tmp_path / "elsewhere" / "p3.png")
    images = load_images(str(folder))
    assert images.labels.tolist() == [0] * 6 + [1]
    assert np.array_equal(images.images[6, 0], GREY[3])


def test_order_is_that_of_the_names(folder: Path) -> None:
    names = ["10.png", "2.png", "B.png", "a.png", "é.png"]
    for index in (3, 0, 4, 1, 2):
        write_image(folder / names[index], GREY[index])
    assert np.array_equal(load_images(str(folder)).images[:, 0], GREY[:5])


def test_many_images_keep_their_order(folder: Path) -> None:
    images = random_images(300, 4, 4)
    for index, image in enumerate(images):
        write_image(folder / f"{index:03}.png", image)
    assert np.array_equal(load_images(str(folder)).images[:, 0], images)


def test_a_name_with_control_characters_is_shown_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m\nb"
    write_image(folder / "c\x07" / "p.png", GREY[0])
    images = load_images(str(folder))
    assert images.name == r"a\x1b[31m\nb"
    assert images.label_names == (r"c\x07",)
    (folder / "c\x07" / "p.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        load_images(str(folder))
    assert str(caught.value).isprintable()


def test_the_name_is_never_a_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flat(folder, GREY)
    monkeypatch.chdir(folder)
    assert load_images(".").name == "shapes"
    assert load_images(f"{folder}/../shapes//").name == "shapes"


def test_a_home_folder_is_expanded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flat(folder, GREY)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_images("~/shapes")) == 6


# --- size and channels ---------------------------------------------------------------------------------


def test_size_and_channels_convert_all_images(folder: Path) -> None:
    write_image(folder / "a.png", random_images(5, 9))
    write_image(folder / "b.png", random_images(30, 20, 3))
    write_image(folder / "c.png", random_images(8, 8, 4))
    for channels in (1, 3):
        images = load_images(str(folder), size=12, channels=channels)
        assert images.images.shape == (3, channels, 12, 12)
        assert (images.size, images.channels) == (12, channels)


def test_size_alone_keeps_the_channels(folder: Path) -> None:
    write_flat(folder, COLOUR)
    assert load_images(str(folder), size=4).images.shape == (6, 3, 4, 4)


def test_channels_alone_keep_the_size(folder: Path) -> None:
    write_flat(folder, COLOUR)
    grey = load_images(str(folder), channels=1).images[:, 0].float().numpy()
    np.testing.assert_allclose(grey, COLOUR @ np.array([0.299, 0.587, 0.114]), atol=1)


def test_files_and_arrays_are_resized_in_the_same_way(folder: Path, tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 28 * 28).reshape(28, 28).astype(np.uint8)
    write_image(folder / "p.png", ramp)
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte", ramp[None])
    for size in (14, 32, 64):
        from_file = load_images(str(folder), size=size).images.int()
        from_array = load_images(str(tmp_path / "idx"), size=size).images.int()
        assert (from_file - from_array).abs().max() <= 2


def test_different_sizes_are_refused_without_size(folder: Path) -> None:
    write_flat(folder, GREY)
    write_image(folder / "p4.png", random_images(9, 9))
    with pytest.raises(DataError, match=r"p4.png is 9 x 9, .*p0.png is 8 x 8: set the size with --size$"):
        load_images(str(folder))


def test_images_that_are_not_square_are_refused_without_size(folder: Path) -> None:
    write_flat(folder, GREY)
    write_image(folder / "p4.png", random_images(9, 7))
    with pytest.raises(DataError, match=r"p4.png is 7 x 9, not square: --size pads and resizes"):
        load_images(str(folder))
    assert load_images(str(folder), size=8).size == 8


def test_mixed_channels_are_refused_without_channels(folder: Path) -> None:
    write_flat(folder, GREY)
    write_image(folder / "p2.png", COLOUR[0])
    write_image(folder / "p3.png", COLOUR[1])
    with pytest.raises(
        DataError, match=r"p2.png is colour, .*p0.png is grey: .*--channels 1 or --channels 3$"
    ):
        load_images(str(folder), size=8)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": 5000}, {"channels": 2}, {"size": -1, "channels": 1}]
)
def test_impossible_sizes_and_channels(folder: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"size must be from 1 to 4096|channels must be 1 \(grey\) or 3"):
        load_images("mnist", **options)


def test_a_builtin_name_takes_precedence_over_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flat(tmp_path / "mnist", GREY)
    monkeypatch.chdir(tmp_path)
    assert len(load_test_images("mnist")) == 10_000
    assert len(load_images("./mnist")) == 6
    assert load_images("./mnist").name == "mnist-folder", "else it would be taken for the built-in data set"


# --- a part of the images ------------------------------------------------------------------------------


def test_limit_chooses_images_with_their_labels(folder: Path, tmp_path: Path) -> None:
    write_classes(folder / "train", ["a", "b", "a", "b", "a", "b"], GREY)
    whole = load_images(str(folder))
    part = load_images(str(folder), limit=4)
    assert len(part) == 4
    assert torch.equal(part.images, load_images(str(folder), limit=4).images)
    of_image = {
        image.numpy().tobytes(): int(label) for image, label in zip(whole.images, whole.labels, strict=True)
    }
    assert [of_image[image.numpy().tobytes()] for image in part.images] == part.labels.tolist()
    assert torch.equal(load_images(str(folder), limit=6).images, whole.images)
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte", GREY)
    write_idx(tmp_path / "idx" / "train-labels-idx1-ubyte", np.arange(6))
    part = load_images(str(tmp_path / "idx"), size=16, limit=3)
    assert part.images.shape == (3, 1, 16, 16)
    assert len(set(part.labels.tolist())) == 3


@pytest.mark.parametrize("name", ["mnist", "dsprites"])
def test_limit_of_a_builtin_set(name: str) -> None:
    part = load_images(name, size=16, limit=5)
    assert isinstance(part.images, torch.Tensor)
    assert part.images.shape == (5, 1, 16, 16)
    if name == "mnist":
        test = load_test_images(name, size=16, limit=7)
        assert test is not None
        assert len(test) == len(test.labels) == 7
