"""Folders of pictures: which are understood, in which order, and what is refused."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from data_fixtures import random_pictures, write_idx, write_picture
from infogan_tool.runtime.errors import DataError, UsageError
from infogan_tool.train.data import load_images, load_test_images
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

GREY = random_pictures(6, 8, 8)
COLOUR = random_pictures(6, 8, 8, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shapes"


def write_flat(folder: Path, pictures: Iterable[npt.NDArray[Any]], end: str = ".png") -> None:
    for index, picture in enumerate(pictures):
        write_picture(folder / f"p{index}{end}", picture)


def write_classes(folder: Path, names: list[str], pictures: Iterable[npt.NDArray[Any]]) -> None:
    for index, picture in enumerate(pictures):
        write_picture(folder / names[index % len(names)] / f"p{index}.png", picture)


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
    write_picture(folder / f"p{end}", np.full((8, 8), 100, np.uint8))
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


def test_classes_have_their_pictures_at_any_depth(folder: Path) -> None:
    write_picture(folder / "a" / "x" / "y" / "1.png", GREY[1])
    write_picture(folder / "a" / "0.png", GREY[0])
    write_picture(folder / "b" / "2.png", GREY[2])
    images = load_images(str(folder))
    assert images.labels.tolist() == [0, 0, 1]
    assert np.array_equal(images.images[:, 0], GREY[:3])


def test_train_and_test_share_their_labels(folder: Path) -> None:
    write_classes(folder / "train", ["cat", "dog"], GREY[:4])
    write_classes(folder / "test", ["dog", "eel"], GREY[4:])
    write_picture(folder / "val" / "cat" / "1.png", GREY[0])
    train, test = load_images(str(folder)), load_test_images(str(folder))
    assert train.label_names == test.label_names == ("cat", "dog", "eel")
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert test.labels.tolist() == [1, 2]
    assert train.name == test.name == "shapes"


def test_train_without_test(folder: Path) -> None:
    write_flat(folder / "train", GREY)
    assert len(load_images(str(folder))) == 6
    assert load_test_images(str(folder)) is None


def test_what_is_passed_over(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "README.txt").write_text("x")
    (folder / "a" / ".hidden.png").write_bytes(b"x")
    (folder / "empty").mkdir()
    write_picture(folder / ".cache" / "p.png", GREY[0])
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
        write_picture(folder / names[index], GREY[index])
    assert np.array_equal(load_images(str(folder)).images[:, 0], GREY[:5])


def test_many_pictures_keep_their_order(folder: Path) -> None:
    pictures = random_pictures(300, 4, 4)
    for index, picture in enumerate(pictures):
        write_picture(folder / f"{index:03}.png", picture)
    assert np.array_equal(load_images(str(folder)).images[:, 0], pictures)


def test_a_name_with_control_characters_is_shown_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m\nb"
    write_picture(folder / "c\x07" / "p.png", GREY[0])
    images = load_images(str(folder))
    assert images.name == r"a\x1b[31m\nb"
    assert images.label_names == (r"c\x07",)
    (folder / "c\x07" / "p.png").write_bytes(b"no picture")
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


def test_size_and_channels_bring_all_to_one(folder: Path) -> None:
    write_picture(folder / "a.png", random_pictures(5, 9))
    write_picture(folder / "b.png", random_pictures(30, 20, 3))
    write_picture(folder / "c.png", random_pictures(8, 8, 4))
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


def test_files_and_arrays_are_brought_to_size_alike(folder: Path, tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 28 * 28).reshape(28, 28).astype(np.uint8)
    write_picture(folder / "p.png", ramp)
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte", ramp[None])
    for size in (14, 32, 64):
        from_file = load_images(str(folder), size=size).images.int()
        from_array = load_images(str(tmp_path / "idx"), size=size).images.int()
        assert (from_file - from_array).abs().max() <= 2


def test_different_sizes_are_refused_without_size(folder: Path) -> None:
    write_flat(folder, GREY)
    write_picture(folder / "p4.png", random_pictures(9, 9))
    with pytest.raises(DataError, match=r"p4.png is 9 x 9, .*p0.png is 8 x 8: say which .* \(--size\)$"):
        load_images(str(folder))


def test_pictures_that_are_not_square_are_refused_without_size(folder: Path) -> None:
    write_flat(folder, GREY)
    write_picture(folder / "p4.png", random_pictures(9, 7))
    with pytest.raises(DataError, match=r"p4.png is 7 x 9, not square: --size pads and resizes"):
        load_images(str(folder))
    assert load_images(str(folder), size=8).size == 8


def test_mixed_channels_are_refused_without_channels(folder: Path) -> None:
    write_flat(folder, GREY)
    write_picture(folder / "p2.png", COLOUR[0])
    write_picture(folder / "p3.png", COLOUR[1])
    with pytest.raises(
        DataError, match=r"p2.png is colour, .*p0.png is grey: .*--channels 1 or --channels 3\)$"
    ):
        load_images(str(folder), size=8)


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": 5000}, {"channels": 2}, {"size": -1, "channels": 1}]
)
def test_impossible_sizes_and_channels(folder: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"size must be from 1 to 4096|channels must be 1 \(grey\) or 3"):
        load_images("mnist", **options)


# --- refusals ------------------------------------------------------------------------------------------


def refused(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_images(str(source))
    assert "\n" not in str(caught.value)


def test_empty_folder(folder: Path) -> None:
    folder.mkdir()
    refused(folder, "shapes holds no pictures: --data takes a folder of pictures, of one sub-folder")


def test_folder_without_pictures(folder: Path) -> None:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "notes.txt").write_text("x")
    refused(folder, "shapes holds no pictures")


def test_empty_test_folder_is_refused(folder: Path) -> None:
    write_flat(folder / "train", GREY)
    (folder / "test").mkdir()
    with pytest.raises(DataError, match="shapes/test holds no pictures"):
        load_test_images(str(folder))


def test_test_without_train(folder: Path) -> None:
    write_flat(folder / "test", GREY)
    refused(folder, "shapes has a folder test but no folder train$")


def test_pictures_beside_folders(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    write_picture(folder / "p.png", GREY[0])
    refused(folder, r"shapes holds pictures \(p.png\) and folders of pictures \(a\): keep one kind$")


@pytest.mark.parametrize("stranger", ["p.png", "extra/p.png"])
def test_pictures_beside_train(folder: Path, stranger: str) -> None:
    write_flat(folder / "train", GREY)
    write_picture(folder / stranger, GREY[0])
    refused(folder, rf"shapes holds a folder train and pictures beside it \({stranger}\): keep one kind$")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
@pytest.mark.parametrize("size", [None, 8])
def test_unreadable_picture_is_named(folder: Path, content: bytes, size: int | None) -> None:
    write_flat(folder, GREY)
    (folder / "p3.png").write_bytes(content)
    with pytest.raises(DataError, match=r"p3\.png") as caught:
        load_images(str(folder), size=size, channels=1)
    assert "\n" not in str(caught.value)


def test_truncated_picture_is_named(folder: Path) -> None:
    write_flat(folder, random_pictures(4, 64, 64))
    path = folder / "p2.png"
    path.write_bytes(path.read_bytes()[:-1000])
    refused(folder, r"p2\.png")


def test_the_first_of_several_bad_pictures_is_named(folder: Path) -> None:
    write_flat(folder, np.repeat(GREY, 30, axis=0))
    for index in (171, 30, 99):
        (folder / f"p{index}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"p171\.png"):  # the order is that of the names
        load_images(str(folder), size=8, channels=1)


def png_claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header announces any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5_000, 12_000, 100_000])
@pytest.mark.parametrize("options", [{}, {"size": 8, "channels": 1}])
def test_picture_that_claims_too_many_pixels(folder: Path, side: int, options: dict[str, int]) -> None:
    folder.mkdir()
    (folder / "p.png").write_bytes(png_claiming(side, side))
    with pytest.raises(DataError, match=r"p\.png"):
        load_images(str(folder), **options)


def test_other_formats_are_not_tried(folder: Path) -> None:
    folder.mkdir()
    Image.fromarray(GREY[0]).save(folder / "p.png", format="PCX")
    refused(folder, r"p\.png is not a picture of a known format \(PNG, JPEG, GIF, BMP, TIFF, WEBP, PPM\)$")


@pytest.mark.parametrize("place", ["p.png", "a/p.png"])
def test_pipe_is_refused_unopened(folder: Path, place: str) -> None:
    (folder / place).parent.mkdir(parents=True)
    os.mkfifo(folder / place)
    refused(folder, r"p\.png is named as a picture but is not a regular file$")


def test_dangling_link(folder: Path) -> None:
    write_flat(folder, GREY)
    (folder / "p9.png").symlink_to("gone.png")
    refused(folder, r"p9\.png is named as a picture but is not a regular file$")


def test_circular_link(folder: Path) -> None:
    write_classes(folder, ["a"], GREY)
    (folder / "a" / "z").symlink_to(folder)
    refused(folder, "shapes/a/z/a is a link to a folder that it is in itself$")


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    refused(
        write_picture(tmp_path / "p.png", GREY[0]), r"p.png is not a folder: --data takes a built-in name"
    )


@pytest.fixture
def denied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Return a function that takes all permissions from a path; root, whom nothing is denied, steps down."""
    if os.name != "posix":
        pytest.skip("no POSIX permissions")
    user = os.geteuid()
    taken = []
    folder.parent.chmod(0o755)
    monkeypatch.chdir(folder.parent)  # the folders above it are closed to others

    def deny(path: Path) -> None:
        taken.append((path, path.stat().st_mode))
        path.chmod(0)
        if user == 0:
            os.seteuid(65534)

    yield deny
    os.seteuid(user)
    for path, mode in taken:
        path.chmod(mode)


@pytest.mark.parametrize("closed", ["shapes", "shapes/a"])
def test_permission_denied_on_a_folder(folder: Path, closed: str, denied: Callable[[Path], None]) -> None:
    write_classes(folder, ["a", "b"], GREY)
    denied(folder.parent / closed)
    refused("shapes", f"^{closed} cannot be read: Permission denied$")


def test_permission_denied_on_a_picture(folder: Path, denied: Callable[[Path], None]) -> None:
    write_flat(folder, GREY)
    denied(folder / "p1.png")
    refused("shapes", r"^shapes/p1\.png cannot be read: Permission denied$")


def test_permission_denied_on_an_idx_file(folder: Path, denied: Callable[[Path], None]) -> None:
    denied(write_idx(folder / "train-images-idx3-ubyte", GREY))
    refused("shapes", "^shapes/train-images-idx3-ubyte cannot be read: Permission denied$")


# --- sources that are neither --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("mnits", "mnist"),
        ("MNIST", "mnist"),
        ("fashion_mnist", "fashion-mnist"),
        ("FashionMNIST", "fashion-mnist"),
    ],
)
def test_misspelt_name(source: str, near: str) -> None:
    refused(source, rf"'{source}' is neither a built-in data set \(did you mean '{near}'\?\) nor a folder of")


def test_missing_folder(tmp_path: Path) -> None:
    refused(
        tmp_path / "gone", r"gone' is neither a built-in data set \(valid: mnist, fashion-mnist, .*\) nor"
    )


@pytest.mark.parametrize("source", ["", "a\0b", "x" * 5000])
def test_impossible_source(source: str) -> None:
    with pytest.raises(DataError):
        load_images(source)


def test_a_name_goes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flat(tmp_path / "mnist", GREY)
    monkeypatch.chdir(tmp_path)
    assert len(load_test_images("mnist")) == 10_000
    assert len(load_images("./mnist")) == 6
