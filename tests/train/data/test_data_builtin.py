"""Data sets by name through torchvision, without a network.

The files that torchvision itself does not check once they are unpacked (fashion-mnist, kmnist, qmnist,
emnist) are written small and read by load_images. svhn, cifar10 and celeba are checked by MD5 at every load,
so there a subclass of the real torchvision class that names the checksums of small files is opened.
"""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from data_fixtures import random_images, write_image
from idx_files import idx_bytes, write_idx
from torchvision import datasets

from infogan_tool.runtime.errors import DataError, MissingExtraError
from infogan_tool.train.data import default_root, load_images, load_test_images
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES, from_torchvision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from infogan_tool.train.data import ImageSet

TRAIN, TEST = random_images(6, 28, 28), random_images(3, 28, 28, seed=1)
TRAIN_LABELS, TEST_LABELS = np.array([9, 0, 1, 2, 2, 3]), np.array([4, 5, 6])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request to a port of this machine where nobody listens."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    # The opener of urlopen is made once in a process, with the proxies of that moment.
    monkeypatch.setattr(urllib.request, "_opener", None)


def write_parts(raw: Path, train_images: str, train_labels: str, test_images: str, test_labels: str) -> None:
    write_idx(raw / train_images, TRAIN)
    write_idx(raw / train_labels, TRAIN_LABELS)
    write_idx(raw / test_images, TEST)
    write_idx(raw / test_labels, TEST_LABELS)


def write_like_mnist(raw: Path) -> None:
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    write_parts(raw, *(f"{part}-ubyte" for part in parts))


# --- files on the disk ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize(
    ("name", "folder", "nine"), [("fashion-mnist", "FashionMNIST", "Ankle boot"), ("kmnist", "KMNIST", "wo")]
)
def test_sets_like_mnist(tmp_path: Path, name: str, folder: str, nine: str, download: bool) -> None:
    write_like_mnist(tmp_path / folder / "raw")
    train = load_images(name, root=tmp_path, download=download)
    assert np.array_equal(train.images[:, 0], TRAIN)
    assert train.images.is_contiguous()
    assert train.labels.tolist() == TRAIN_LABELS.tolist()
    assert train.label_names[9] == nine
    assert train.name == name
    test = load_test_images(name, root=tmp_path, download=download, size=32, channels=3)
    assert test.images.shape == (3, 3, 32, 32)
    assert test.labels.tolist() == TEST_LABELS.tolist()


def test_qmnist(tmp_path: Path, offline: None) -> None:
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), ("test", TEST, TEST_LABELS)):
        raw = tmp_path / "QMNIST" / "raw"
        write_idx(raw / f"qmnist-{part}-images-idx3-ubyte", images)
        facts = np.zeros((len(labels), 8), ">i4")
        facts[:, 0], facts[:, 1:] = labels, 77
        header = bytes((0, 0, 12, 2)) + len(labels).to_bytes(4, "big") + (8).to_bytes(4, "big")
        (raw / f"qmnist-{part}-labels-idx2-int").write_bytes(header + facts.tobytes())
    train, test = load_images("qmnist", root=tmp_path), load_test_images("qmnist", root=tmp_path)
    assert np.array_equal(train.images[:, 0], TRAIN)
    assert train.labels.tolist() == TRAIN_LABELS.tolist()
    assert test.labels.tolist() == TEST_LABELS.tolist()


def test_emnist_digits_are_upright(tmp_path: Path, offline: None) -> None:
    raw = tmp_path / "EMNIST" / "raw"
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), ("test", TEST, TEST_LABELS)):
        write_idx(raw / f"emnist-digits-{part}-images-idx3-ubyte", images.transpose(0, 2, 1))
        write_idx(raw / f"emnist-digits-{part}-labels-idx1-ubyte", labels)
    train = load_images("emnist", root=tmp_path)
    assert np.array_equal(train.images[:, 0], TRAIN)
    assert train.images.is_contiguous()
    assert train.labels.tolist() == TRAIN_LABELS.tolist()
    assert train.label_names == tuple("0123456789")


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: good[:-1],
        lambda _: b"",
        lambda _: b"<html>not found</html>",
        lambda _: idx_bytes(TRAIN_LABELS),
        lambda _: idx_bytes(TRAIN[:0]),
    ],
)
def test_damaged_files_are_one_line_that_names_the_set(
    tmp_path: Path, damage: Callable[[bytes], bytes], offline: None
) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    write_like_mnist(raw)
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="fashion-mnist") as caught:
        load_images("fashion-mnist", root=tmp_path)
    assert "\n" not in str(caught.value)


def test_labels_that_do_not_count_the_images(tmp_path: Path, offline: None) -> None:
    raw = tmp_path / "KMNIST" / "raw"
    write_like_mnist(raw)
    write_idx(raw / "train-labels-idx1-ubyte", TEST_LABELS)
    with pytest.raises(DataError, match="kmnist: 6 images need as many int64 labels"):
        load_images("kmnist", root=tmp_path)


# --- offline -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
@pytest.mark.parametrize("load", [load_images, load_test_images])
def test_offline_is_one_line_that_names_the_folder(
    tmp_path: Path, name: str, load: Callable[..., ImageSet], offline: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError) as caught:
        load(name, root=tmp_path / "new")
    message = str(caught.value)
    assert message.startswith(f"{name} cannot be loaded (")
    assert f" into {tmp_path / 'new'}" in message
    assert message.isprintable()
    assert len(message) < 700
    assert capfd.readouterr().out == ""


def test_offline_has_torchvision_s_reason(tmp_path: Path, offline: None) -> None:
    with pytest.raises(DataError, match=r"\(.*Connection refused.*\); without a download, put") as caught:
        load_test_images("svhn", root=tmp_path)
    assert caught.value.exit_code == 1
    with pytest.raises(DataError, match=r"put torchvision's files into .*FashionMNIST/raw$"):
        load_images("fashion-mnist", root=tmp_path)


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_without_download(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataError,
        match=rf"^{name} cannot be loaded \(.*\); without a download, put .* into {tmp_path}",
    ):
        load_images(name, root=tmp_path, download=False)
    assert not list(tmp_path.iterdir())


def test_root_that_cannot_be_written(tmp_path: Path, offline: None) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be loaded \(.*Not a directory"):
        load_images("fashion-mnist", root=tmp_path / "file")


def test_without_torchvision_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # how Python marks what must not be imported
    with pytest.raises(MissingExtraError, match=r"data set svhn needs more packages: .*\[train\]"):
        load_images("svhn", root=tmp_path)


def test_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOGAN_TOOL_DATA", str(tmp_path / "own"))
    assert default_root() == tmp_path / "own"
    write_like_mnist(tmp_path / "own" / "KMNIST" / "raw")
    assert len(load_images("kmnist", download=False)) == 6
    monkeypatch.delenv("INFOGAN_TOOL_DATA")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert default_root() == tmp_path / "cache" / "infogan-tool" / "data"
        monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
        assert default_root() == Path.home() / ".cache" / "infogan-tool" / "data"


def test_mnist_is_loaded_without_torchvision_and_without_a_root(tmp_path: Path) -> None:
    code = (
        "import sys; from infogan_tool.train.data import load_test_images; load_test_images('mnist'); "
        "assert not {'torchvision', 'scipy'} & set(sys.modules)"
    )
    environment = {"INFOGAN_TOOL_DATA": str(tmp_path / "unused"), "PATH": "", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=600)
    assert not list(tmp_path.iterdir())


# --- classes that check every file ---------------------------------------------------------------------


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_svhn(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")

    input_images = random_images(5, 32, 32, 3)
    path = tmp_path / "train_32x32.mat"
    scipy_io.savemat(
        path, {"X": input_images.transpose(1, 2, 3, 0), "y": np.array([[10], [1], [2], [9], [10]])}
    )

    class SmallSVHN(datasets.SVHN):
        split_list = {"train": ["", path.name, md5_of(path)]}  # noqa: RUF012 - as in the base class

    images = from_torchvision("svhn", SmallSVHN(tmp_path), size=None, channels=None)
    assert np.array_equal(images.images, input_images.transpose(0, 3, 1, 2))
    assert images.images.is_contiguous()
    assert images.labels.tolist() == [0, 1, 2, 9, 0]
    assert images.label_names == tuple("0123456789")
    assert from_torchvision("svhn", SmallSVHN(tmp_path), size=16, channels=1).images.shape == (5, 1, 16, 16)


def test_cifar10(tmp_path: Path) -> None:
    input_images = random_images(4, 3, 32, 32)
    names = [f"class {index}" for index in range(10)]
    files = {
        "data_batch_1": {"data": input_images[:2].reshape(2, -1), "labels": [3, 9]},
        "data_batch_2": {"data": input_images[2:].reshape(2, -1), "labels": [0, 1]},
        "batches.meta": {"label_names": names},
    }
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content))

    class SmallCIFAR10(datasets.CIFAR10):
        train_list = tuple((name, md5_of(folder / name)) for name in ("data_batch_1", "data_batch_2"))
        test_list = ()
        meta = {  # noqa: RUF012 - as in the base class
            "filename": "batches.meta",
            "key": "label_names",
            "md5": md5_of(folder / "batches.meta"),
        }

    images = from_torchvision("cifar10", SmallCIFAR10(tmp_path), size=None, channels=None)
    assert np.array_equal(images.images, input_images)
    assert images.labels.tolist() == [3, 9, 0, 1]
    assert images.label_names == tuple(names)


def small_celeba(root: Path, images: Iterable[npt.NDArray[Any]]) -> type[datasets.CelebA]:
    folder = root / "celeba"
    for index, image in enumerate(images):
        write_image(folder / "img_align_celeba" / f"{index:06}.jpg", image, quality=95)
    files = [f"{index:06}.jpg" for index in range(len(images))]
    tables = {
        "list_eval_partition.txt": [f"{file} {2 * (index % 2)}" for index, file in enumerate(files)],
        "identity_CelebA.txt": [f"{file} 1" for file in files],
        "list_bbox_celeba.txt": ["n", "x y w h", *(f"{file} 0 0 1 1" for file in files)],
        "list_landmarks_align_celeba.txt": ["n", "x y", *(f"{file} 0 0" for file in files)],
        "list_attr_celeba.txt": ["n", "Smiling Young", *(f"{file} -1 1" for file in files)],
    }
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n")

    class SmallCelebA(datasets.CelebA):
        file_list = tuple(("", md5_of(folder / name), name) for name in tables)

    return SmallCelebA


def test_celeba_is_the_centre_square_without_bars(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(60, 200, 218)[:, None, None], (218, 178, 3)).astype(np.uint8)
    flat = np.full((218, 178, 3), 150, np.uint8)
    celeba = small_celeba(tmp_path, [ramp, flat, flat, flat])
    native = from_torchvision("celeba", celeba(tmp_path), size=None, channels=None)
    assert native.images.shape == (2, 3, 178, 178)
    assert native.labels is None
    assert native.label_names is None
    expected = torch.from_numpy(ramp[20:198, :, 0].copy()).int()
    assert (native.images[0, 0].int() - expected).abs().max() <= 3
    for size in (32, 64, 100):
        images = from_torchvision("celeba", celeba(tmp_path), size=size, channels=None).images
        assert images.shape == (2, 3, size, size)
        assert images[1].min() >= 148, "no bar is left"
    test = from_torchvision("celeba", celeba(tmp_path, split="test"), size=32, channels=1)
    assert test.images.shape == (2, 1, 32, 32)


def test_celeba_image_that_is_damaged_is_named(tmp_path: Path) -> None:
    celeba = small_celeba(tmp_path, [np.zeros((218, 178, 3), np.uint8)] * 4)
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"000002\.jpg"):
        from_torchvision("celeba", celeba(tmp_path), size=32, channels=None)
