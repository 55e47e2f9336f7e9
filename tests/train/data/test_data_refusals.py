"""Folders and sources that are refused, each in one line that names what is at fault."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_fixtures import random_images, write_classes, write_flat, write_image
from idx_files import write_idx
from PIL import Image

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data import load_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GREY = random_images(6, 8, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shapes"


def refused(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_images(str(source))
    assert "\n" not in str(caught.value)


def test_empty_folder(folder: Path) -> None:
    folder.mkdir()
    refused(folder, "shapes holds no images: --data takes a folder of images, of one sub-folder")


def test_folder_without_images(folder: Path) -> None:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "notes.txt").write_text("x")
    refused(folder, "shapes holds no images")


def test_two_folders_for_train_are_refused(folder: Path) -> None:
    write_flat(folder / "train", GREY)
    write_flat(folder / "training", GREY)
    refused(folder, "shapes holds both train and training: keep one$")


def test_test_without_train(folder: Path) -> None:
    write_flat(folder / "test", GREY)
    refused(folder, "shapes has a folder test but no folder train with images$")


def test_images_beside_folders(folder: Path) -> None:
    write_classes(folder, ["a", "b"], GREY)
    write_image(folder / "p.png", GREY[0])
    refused(folder, r"shapes holds images \(p.png\) and folders of images \(a\): keep one kind$")


@pytest.mark.parametrize("other", ["p.png", "extra/p.png"])
def test_images_beside_train(folder: Path, other: str) -> None:
    write_flat(folder / "train", GREY)
    write_image(folder / other, GREY[0])
    refused(folder, rf"shapes holds a folder train and images beside it \({other}\): keep one kind$")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
@pytest.mark.parametrize("size", [None, 8])
def test_unreadable_image_is_named(folder: Path, content: bytes, size: int | None) -> None:
    write_flat(folder, GREY)
    (folder / "p3.png").write_bytes(content)
    with pytest.raises(DataError, match=r"p3\.png") as caught:
        load_images(str(folder), size=size, channels=1)
    assert "\n" not in str(caught.value)


def test_truncated_image_is_named(folder: Path) -> None:
    write_flat(folder, random_images(4, 64, 64))
    path = folder / "p2.png"
    path.write_bytes(path.read_bytes()[:-1000])
    refused(folder, r"p2\.png")


def test_the_first_of_several_bad_images_is_named(folder: Path) -> None:
    write_flat(folder, np.repeat(GREY, 30, axis=0))
    for index in (171, 30, 99):
        (folder / f"p{index}.png").write_bytes(b"no image")
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
def test_image_that_claims_too_many_pixels(folder: Path, side: int, options: dict[str, int]) -> None:
    folder.mkdir()
    (folder / "p.png").write_bytes(png_claiming(side, side))
    with pytest.raises(DataError, match=r"p\.png"):
        load_images(str(folder), **options)


def test_other_formats_are_not_tried(folder: Path) -> None:
    folder.mkdir()
    Image.fromarray(GREY[0]).save(folder / "p.png", format="PCX")
    refused(folder, r"p\.png is not an image of a known format \(PNG, JPEG, GIF, BMP, TIFF, WEBP, PPM\)$")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("place", ["p.png", "a/p.png"])
def test_pipe_is_refused_unopened(folder: Path, place: str) -> None:
    (folder / place).parent.mkdir(parents=True)
    os.mkfifo(folder / place)
    refused(folder, r"p\.png is named as an image but is not a regular file$")


def test_dangling_link(folder: Path) -> None:
    write_flat(folder, GREY)
    (folder / "p9.png").symlink_to("gone.png")
    refused(folder, r"p9\.png is named as an image but is not a regular file$")


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    refused(write_image(tmp_path / "p.png", GREY[0]), r"p.png is not a folder: --data takes a built-in name")


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
    refused("shapes", f"^{closed}( cannot be read)?: Permission denied$")


def test_permission_denied_on_an_image(folder: Path, denied: Callable[[Path], None]) -> None:
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


def test_images_given_in_python_are_named_by_a_folder() -> None:
    refused("<python>", "given in Python: name a folder of them with --data")


@pytest.mark.parametrize("source", ["", "a\0b", "x" * 5000])
def test_impossible_source(source: str) -> None:
    with pytest.raises(DataError):
        load_images(source)
