"""IDX files: the packaged MNIST, folders of IDX files, and invalid files."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sys
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from data_fixtures import random_images
from idx_files import idx_bytes, write_idx

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data import ImageSet, load_images, load_test_images
from infogan_tool.train.data.builtin import _MNIST_MD5, load_mnist
from infogan_tool.train.data.idx import read_idx_images

MNIST = Path(str(resources.files("infogan_tool.train.data") / "mnist"))
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(scope="module")
def mnist() -> ImageSet:
    return load_images("mnist")


# --- the packaged MNIST --------------------------------------------------------------------------------


def test_mnist_train_is_the_published_set(mnist: ImageSet) -> None:
    assert mnist.images.shape == (60_000, 1, 28, 28)
    assert mnist.images.dtype == torch.uint8
    assert mnist.images.is_contiguous()
    assert mnist.images.sum(dtype=torch.int64) == 1_567_298_545
    assert mnist.labels.dtype == torch.int64
    assert mnist.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (mnist.name, len(mnist), mnist.size, mnist.channels) == ("mnist", 60_000, 28, 1)
    assert mnist.label_names == tuple("0123456789")


def test_mnist_test_is_the_published_set() -> None:
    test = load_test_images("mnist")
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.images.sum(dtype=torch.int64) == 264_923_200
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.name == "mnist"


def test_mnist_checksums_are_those_that_the_licence_page_states() -> None:
    stated = re.findall(
        r"^\| (\S+-ubyte) \| ([0-9a-f]{32}) \|$", (MNIST / "LICENSE.md").read_text(), re.MULTILINE
    )
    assert dict(stated) == _MNIST_MD5


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
def test_mnist_with_one_byte_changed_is_refused(tmp_path: Path, part: str) -> None:
    shutil.copytree(MNIST, tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"t10k-{part}-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[5000] ^= 1
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(DataError, match=rf"{path.name} is damaged: its MD5 is \w+, not \w+$"):
        load_mnist(tmp_path, split="test", size=None, channels=None)
    load_mnist(MNIST, split="test", size=None, channels=None)


def test_mnist_with_a_file_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read: No such file"):
        load_mnist(tmp_path, split="train", size=None, channels=None)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_mnist_needs_little_more_memory_than_its_images(mnist: ImageSet) -> None:
    def memory(field: str) -> int:
        return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    before = memory("VmRSS")
    again = load_images("mnist")
    assert memory("VmHWM") - before < 1.5 * again.images.nbytes


def test_mnist_at_another_size_and_in_colour(mnist: ImageSet) -> None:
    big = load_test_images("mnist", size=32, channels=3)
    assert big.images.shape == (10_000, 3, 32, 32)
    assert torch.equal(big.images[:, 0], big.images[:, 2])
    assert big.images.float().mean() == pytest.approx(33.79, abs=0.3)  # of the 28 x 28 images


# --- folders -------------------------------------------------------------------------------------------


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder of IDX files with five training and three test images."""
    folder = tmp_path / "digits"
    write_idx(folder / IMAGES, random_images(5, 8, 8))
    write_idx(folder / LABELS, np.array([3, 1, 0, 9, 3]))
    write_idx(folder / "t10k-images-idx3-ubyte.gz", random_images(3, 8, 8, seed=1))
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", np.array([1, 1, 2]))
    return folder


def test_idx_folder(digits: Path) -> None:
    train, test = load_images(str(digits)), load_test_images(str(digits))
    assert np.array_equal(train.images[:, 0], random_images(5, 8, 8))
    assert train.labels.tolist() == [3, 1, 0, 9, 3]
    assert train.name == "digits"
    assert train.label_names is None
    assert np.array_equal(test.images[:, 0], random_images(3, 8, 8, seed=1))
    assert test.labels.tolist() == [1, 1, 2]


def test_idx_folder_of_links_is_the_same_mnist(tmp_path: Path, mnist: ImageSet) -> None:
    for path in MNIST.glob("t10k*.gz"):
        (tmp_path / path.name.replace("t10k", "train")).symlink_to(path)
    linked = load_images(str(tmp_path))
    expected = load_test_images("mnist")
    assert torch.equal(linked.images, expected.images)
    assert torch.equal(linked.labels, expected.labels)


def test_idx_folder_has_the_name_of_a_built_in_data_set_only_with_its_shape(tmp_path: Path) -> None:
    assert load_images(str(MNIST), limit=5).name == "mnist"
    for name in ("mnist", "svhn"):
        write_idx(tmp_path / name / IMAGES, random_images(5, 28, 28))
        assert load_images(str(tmp_path / name)).name == f"{name}-folder"


def test_idx_folder_without_labels_or_test(tmp_path: Path) -> None:
    write_idx(tmp_path / IMAGES, random_images(5, 8, 8))
    assert load_images(str(tmp_path)).labels is None
    assert load_test_images(str(tmp_path)) is None


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_dotted_spelling(tmp_path: Path, end: str) -> None:
    write_idx(tmp_path / f"train-images.idx3-ubyte{end}", random_images(2, 4, 4))
    write_idx(tmp_path / f"train-labels.idx1-ubyte{end}", np.array([0, 1]))
    assert load_images(str(tmp_path)).labels.tolist() == [0, 1]


def test_idx_gzip_is_known_by_content_and_may_have_several_members(tmp_path: Path) -> None:
    content = idx_bytes(random_images(2, 4, 4))
    (tmp_path / IMAGES).write_bytes(gzip.compress(content[:20]) + gzip.compress(content[20:]))
    assert np.array_equal(load_images(str(tmp_path)).images[:, 0], random_images(2, 4, 4))


def test_idx_plain_file_takes_precedence_over_its_gzip(digits: Path) -> None:
    write_idx(digits / f"{IMAGES}.gz", random_images(2, 8, 8))
    assert len(load_images(str(digits))) == 5


def test_idx_two_spellings_are_refused(digits: Path) -> None:
    write_idx(digits / "train-images.idx3-ubyte", random_images(2, 8, 8))
    with pytest.raises(DataError, match=f"digits holds both {IMAGES} and train-images.idx3-ubyte: keep one$"):
        load_images(str(digits))


def test_idx_test_part_alone_is_refused(digits: Path) -> None:
    (digits / IMAGES).unlink()
    with pytest.raises(DataError, match=f"digits has t10k files but no {IMAGES}$"):
        load_images(str(digits))


def test_idx_size_and_channels(digits: Path) -> None:
    images = load_images(str(digits), size=16, channels=3)
    assert images.images.shape == (5, 3, 16, 16)
    assert images.images.is_contiguous()


def test_idx_not_square(tmp_path: Path) -> None:
    write_idx(tmp_path / IMAGES, random_images(2, 4, 6) | 128)
    with pytest.raises(DataError, match=f"{IMAGES}: images are 4 x 6, not square \\(--size"):
        load_images(str(tmp_path))
    squared = load_images(str(tmp_path), size=6).images[:, 0]
    images = random_images(2, 4, 6) | 128
    assert np.array_equal(squared[:, 1:5], images), "a row is added above and one below"
    border = np.concatenate((images[0, 0], images[0, -1], images[0, :, 0], images[0, :, -1]))
    assert squared[0, [0, 5]].unique().tolist() == [round(np.median(border))]


# --- refusals ------------------------------------------------------------------------------------------

GOOD = idx_bytes(random_images(4, 8, 8))


def packed(content: bytes) -> bytes:
    """Compress with gzip, the same bytes at any time: they are part of the names of tests."""
    return gzip.compress(content, mtime=0)


def claim(*sizes: int, magic: bytes = b"\x00\x00\x08\x03") -> bytes:
    return magic + b"".join(size.to_bytes(4, "big") for size in sizes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (
            b"\x89PNG\r\n\x1a\n" + GOOD,
            "wrong magic number 89504e47, images in IDX format begin with 00000803",
        ),
        (idx_bytes(np.zeros(9)), "wrong magic number 00000801, images in IDX format begin with 00000803"),
        (claim(4, 8, 8, magic=bytes((0, 0, 13, 3))), "wrong magic number 00000d03"),
        (GOOD[:3], "wrong magic number 000008,"),
        (GOOD[:15], "is truncated: it ends within its header"),
        (GOOD[:-1], "is truncated: its header has 4 x 8 x 8 bytes, the file has 255"),
        (GOOD + b"\0", "is too long: its header has 4 x 8 x 8 bytes, the file has 257"),
        (claim(0, 8, 8), "holds nothing: its header has 0 x 8 x 8"),
        (claim(4, 0, 8), "holds nothing: its header has 4 x 0 x 8"),
        (
            claim(10**6, 1000, 1000),
            "is truncated: its header has 1,000,000 x 1,000 x 1,000 bytes, the file has 0",
        ),
        (
            claim(1, 2**32 - 1, 2**32 - 1),
            "images of 1 x 4,294,967,295 x 4,294,967,295 are larger than 4096",
        ),
        (packed(claim(10**6, 1000, 1000)), "bytes, which 3. compressed bytes cannot hold"),
        (packed(GOOD[:-1]), "is truncated: 255 of 256 bytes"),
        (packed(GOOD + b"\0"), "is too long: there are more than the 256 bytes of its header"),
        (packed(GOOD)[:-9], "the gzip file is truncated or damaged"),
        (packed(GOOD)[:40], "the gzip file is truncated or damaged"),
        (packed(GOOD)[:-8] + bytes(8), "the gzip file is truncated or damaged"),
        (b"\x1f\x8b" + bytes(30), "the gzip file is truncated or damaged"),
    ],
)
def test_idx_refusals_name_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / IMAGES
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_images(str(tmp_path))
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text


def test_idx_too_much_for_the_memory_is_refused_unread(tmp_path: Path) -> None:
    # 2 TB in a file of holes: only its header takes a place on the disk.
    path = tmp_path / IMAGES
    with path.open("wb") as file:
        file.write(claim(2 * 10**6, 1000, 1000))
        try:
            file.truncate(16 + 2 * 10**12)
        except OSError:
            pytest.skip("this file system has no file of 2 TB")
    with pytest.raises(DataError, match=r"its images need 2,000\.0 GB, this machine has"):
        read_idx_images(path)


def gzip_of_zeros(path: Path, header: bytes, num_zeros: int) -> None:
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(header))
        for _ in range(num_zeros // 2**20):
            file.write(packer.compress(bytes(2**20)))
        file.write(packer.flush())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((1, 1024, 1024), "is too long: there are more than the 1,048,576 bytes of its header"),
        ((256, 1024, 1024), "compressed bytes cannot hold"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_idx_gzip_bomb_costs_nothing(tmp_path: Path, sizes: tuple[int, ...], message: str) -> None:
    path = tmp_path / f"{IMAGES}.gz"
    gzip_of_zeros(path, claim(*sizes), 256 * 2**20)
    Path("/proc/self/clear_refs").write_text("5")
    peak = re.compile(r"VmHWM:\s+(\d+) kB")
    before = int(peak.search(Path("/proc/self/status").read_text())[1])
    with pytest.raises(DataError, match=message):
        load_images(str(tmp_path))
    assert int(peak.search(Path("/proc/self/status").read_text())[1]) - before < 20_000


def test_idx_labels_that_do_not_count_the_images(digits: Path) -> None:
    write_idx(digits / LABELS, np.zeros(4))
    with pytest.raises(DataError, match=f"{LABELS} has 4 labels for 5 images$"):
        load_images(str(digits))


def test_idx_labels_of_another_kind(digits: Path) -> None:
    (digits / LABELS).write_bytes(GOOD)
    with pytest.raises(
        DataError, match=f"{LABELS}: it holds images; wrong magic number 00000803, labels in IDX"
    ):
        load_images(str(digits))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_idx_pipe_is_refused_unopened(digits: Path, name: str) -> None:
    (digits / name).unlink()
    os.mkfifo(digits / name)
    with pytest.raises(DataError, match=f"{name} is not a regular file$"):
        load_images(str(digits))


def test_idx_dangling_link_and_folder(digits: Path) -> None:
    (digits / LABELS).unlink()
    (digits / LABELS).symlink_to(digits / "gone")
    with pytest.raises(DataError, match=f"{LABELS} cannot be read: No such file"):
        load_images(str(digits))
    (digits / LABELS).unlink()
    (digits / LABELS).mkdir()
    with pytest.raises(DataError, match=f"{LABELS} is a folder$"):
        load_images(str(digits))


def test_idx_and_images_in_one_folder_are_refused(digits: Path) -> None:
    (digits / "preview.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"digits holds IDX files and images \(preview.png\): keep one kind$"):
        load_images(str(digits))
