"""Images in .npy, .npz and IDX files: every order of axes, every type, and every refusal."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from infogan_tool.runtime import ImageSpec
from infogan_tool.runtime.bulk.decode.decoding import decode
from infogan_tool.runtime.bulk.inputs.chunks import Failed
from infogan_tool.runtime.bulk.inputs.sources import Inputs

if TYPE_CHECKING:
    from collections.abc import Callable

GREY = ImageSpec(size=8, channels=1, low=0.0, high=1.0)
COLOUR = ImageSpec(size=8, channels=3, low=0.0, high=1.0)
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 8), np.uint8)


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    sizes = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def read(path: Path, spec: ImageSpec = GREY, column: str | None = None) -> tuple[Any, list[str], list[str]]:
    """Return the images of a container as the pipeline reads them, their names, and the error messages."""
    inputs = Inputs([str(path)], spec, column=column)
    images, names, errors = [], [], []
    for chunk in inputs.chunks():
        ready = chunk.ready(spec, raw=True)
        decoded = decode(chunk.names, chunk.sources(), spec, raw=True)
        if ready is not None:
            assert np.array_equal(ready, decoded.images)  # the short way is the long way
        images += list(decoded.images)
        names += [n.removeprefix(str(path)) for i, n in enumerate(chunk.names) if i not in decoded.failures]
        errors += decoded.failures.values()
    if not errors:
        assert inputs.count() == len(names)
    return np.array(images), names, errors


def saved(path: Path, array: npt.NDArray[Any]) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW"])
def test_npy_layouts(tmp_path: Path, layout: str) -> None:
    array = {"NHW": IMAGES, "NHWC": IMAGES[..., None], "NCHW": IMAGES[:, None]}[layout]
    images, names, errors = read(saved(tmp_path / "a.npy", array))
    assert errors == []
    assert np.array_equal(images[..., 0], IMAGES)
    assert names == [f"#{i}" for i in range(300)]


def test_npy_of_one_image(tmp_path: Path) -> None:
    images, names, _ = read(saved(tmp_path / "a.npy", IMAGES[0]))
    assert np.array_equal(images[0, ..., 0], IMAGES[0])
    assert names == ["#0"]
    colour = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(read(saved(tmp_path / "c.npy", colour), COLOUR)[0][0], colour)


def test_npy_in_colour_in_fortran_order_and_with_alpha(tmp_path: Path) -> None:
    colour = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8)
    assert np.array_equal(read(saved(tmp_path / "a.npy", colour), COLOUR)[0], colour)
    assert np.array_equal(read(saved(tmp_path / "b.npy", colour.transpose(0, 3, 1, 2)), COLOUR)[0], colour)
    assert np.array_equal(read(saved(tmp_path / "c.npy", np.asfortranarray(colour)), COLOUR)[0], colour)
    opaque = np.concatenate((colour, np.full((5, 8, 8, 1), 255, np.uint8)), axis=3)
    assert np.array_equal(read(saved(tmp_path / "d.npy", opaque), COLOUR)[0], colour)


@pytest.mark.parametrize(
    "array",
    [
        IMAGES / 255,
        (IMAGES / 255).astype(np.float32),
        IMAGES.astype(np.float16),
        IMAGES / 127.5 - 1,
        IMAGES.astype(np.uint16) * 257,
        IMAGES.astype(">f8") / 255,
    ],
    ids=["0-1", "float32", "0-255", "-1-1", "uint16", "big endian"],
)
def test_npy_scales(tmp_path: Path, array: npt.NDArray[Any]) -> None:
    assert np.array_equal(read(saved(tmp_path / "a.npy", array))[0][..., 0], IMAGES)


def test_npy_of_bits(tmp_path: Path) -> None:
    images, *_ = read(saved(tmp_path / "a.npy", IMAGES > 127))
    assert np.array_equal(images[..., 0], np.where(IMAGES > 127, 255, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_one_failed_image(tmp_path: Path, value: float) -> None:
    array = IMAGES / 255
    array[7, 3, 3] = value
    images, names, errors = read(saved(tmp_path / "a.npy", array))
    assert len(images) == len(names) == 299
    assert "#7" not in names
    assert errors == [f"{tmp_path}/a.npy#7: it has values that are not finite"]


def test_another_size_is_resized(tmp_path: Path) -> None:
    flat = np.full((3, 20, 30), 77, np.uint8)
    images, *_ = read(saved(tmp_path / "a.npy", flat))
    assert images.shape == (3, 8, 8, 1)
    assert (images == 77).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(7, np.uint8), r"shape \(7,\) is none of"),
        (np.zeros((0, 8, 8), np.uint8), "has no pixels"),
        (np.zeros((2, 3, 9, 3), np.uint8), r"is ambiguous, \(N, H, W, C\) or \(N, C, H, W\)"),
        (np.zeros((2, 5, 9, 9), np.uint8), "is none of"),
        (np.zeros((2, 8, 8), np.int64), "values of type int64 are not supported"),
        (np.full((2, 8, 8), 1e9), r"values from 0 to 1e\+09 are in no supported range"),
        (np.full((2, 8, 8), -7.0), "values from -7 to 0 are in no supported range"),
        (np.zeros((2, 8, 8), "U3"), "values of type <U3 are not supported"),
    ],
)
def test_npy_refusals_are_one_line_with_the_name(
    tmp_path: Path, array: npt.NDArray[Any], message: str
) -> None:
    path = saved(tmp_path / "a.npy", array)
    images, _, (error,) = read(path)
    assert len(images) == 0
    assert error.startswith(f"{path}: ")
    assert re.search(message, error)
    assert "\n" not in error


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "a.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", a=np.array([Trap()], object))
    for name in ("a.npy", "b.npz"):
        (error,) = read(tmp_path / name)[2]
        assert "Python objects" in error
    assert not (tmp_path / "sprung").exists()


def test_damaged_arrays(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.npy", IMAGES).read_bytes()
    for cut, message in ((100, ""), (-1, "truncated: 19,200 bytes expected, 19,199 in the file")):
        (tmp_path / "a.npy").write_bytes(content[:cut])
        (error,) = read(tmp_path / "a.npy")[2]
        assert error.startswith(f"{tmp_path}/a.npy: ")
        assert message in error


# --- .npz ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_reads_the_arrays_of_images(tmp_path: Path, save: Callable[..., None]) -> None:
    save(
        tmp_path / "a.npz",
        x_train=IMAGES,
        y_train=np.arange(300),
        x_test=IMAGES[:3] / 255,
        flat=IMAGES[0],
    )
    images, names, _ = read(tmp_path / "a.npz")
    assert names == [f"#x_train/{i}" for i in range(300)] + [f"#x_test/{i}" for i in range(3)]
    assert np.array_equal(images[..., 0], np.concatenate((IMAGES, IMAGES[:3])))
    assert read(tmp_path / "a.npz", column="x_test")[1] == [f"#x_test/{i}" for i in range(3)]
    assert read(tmp_path / "a.npz", column="flat")[1] == ["#flat/0"]
    (error,) = read(tmp_path / "a.npz", column="z")[2]
    assert "it has no array z (arrays: x_train, y_train, x_test, flat)" in error


def test_an_npz_array_in_fortran_order_fails_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(IMAGES), y=IMAGES[:3])
    for column in (None, "x"):
        _, names, (error,) = read(tmp_path / "a.npz", column=column)
        assert error == f"{tmp_path}/a.npz#x is in Fortran order: save it in C order"
        assert names == ([] if column else [f"#y/{i}" for i in range(3)])
        assert Inputs([str(tmp_path / "a.npz")], GREY, column=column).count() == 1 + len(names)


def test_npz_arrays_that_are_no_images_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", volumes=IMAGES[None, None], masks=IMAGES.astype(np.uint64), x=IMAGES[:3])
    _, names, errors = read(tmp_path / "a.npz")
    assert (names, errors) == ([f"#x/{i}" for i in range(3)], [])
    (error,) = read(tmp_path / "a.npz", column="masks")[2]
    assert "values of type uint64 are not supported" in error


@pytest.mark.parametrize("shape", ["(-3, 8, 8)", "(True, 8, 8)", f"({10**23}, 8, -8)", "(3, 8, 8), 1: 2"])
def test_an_invalid_header_is_one_failed_file(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(999)
    (tmp_path / "a.npy").write_bytes(content)
    (error,) = read(tmp_path / "a.npy")[2]
    assert error.startswith(f"{tmp_path}/a.npy: ")


def test_npz_without_images_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=np.arange(9), names=np.array(["a"]), table=np.ones((3, 3), int))
    (error,) = read(tmp_path / "a.npz")[2]
    assert error.startswith(f"{tmp_path}/a.npz: it has no array of images")


def test_huge_arrays_are_refused_by_their_header(tmp_path: Path) -> None:
    for shape, message in (
        ((1, 9_000, 9_000), "images of 9,000 x 9,000 have more than"),
        ((1, 8_000, 8_000, 3), "images of 8000 x 8000 x 3 are too large"),
    ):
        content = io.BytesIO()
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(content, header)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", content.getvalue())
        (error,) = read(tmp_path / "a.npz")[2]
        assert message in error


def test_a_truncated_npz_gives_the_images_before_the_end(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, IMAGES)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue()[:-1])
    images, _, (error,) = read(tmp_path / "a.npz")
    assert np.array_equal(images[..., 0], IMAGES[:256])
    assert error == f"{tmp_path}/a.npz: truncated: it ends within its array"
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    (error,) = read(tmp_path / "b.npz")[2]
    assert error.startswith(f"{tmp_path}/b.npz: ")


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_bomb_costs_little_memory(tmp_path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 17, 32, 32)}
    )
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(head.getvalue())
        for _ in range(128):
            member.write(bytes(1 << 20))
    Path("/proc/self/clear_refs").write_text("5")
    peak = re.compile(r"VmHWM:\s+(\d+) kB")
    before = int(peak.search(Path("/proc/self/status").read_text())[1])
    count = sum(len(chunk.names) for chunk in Inputs([str(tmp_path / "a.npz")], GREY).chunks())
    assert count == 1 << 17
    assert int(peak.search(Path("/proc/self/status").read_text())[1]) - before < 50_000


# --- IDX -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("width", [8, 3])
def test_idx(tmp_path: Path, packed: bool, width: int) -> None:
    content = idx_bytes(IMAGES[:, :, :width])
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if packed else content)
    images, names, errors = read(path)
    assert width != 8 or np.array_equal(images[..., 0], IMAGES)
    assert names == [f"#{i}" for i in range(300)]
    assert errors == []


def test_idx_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a-ubyte"
    content = idx_bytes(IMAGES)
    path.write_bytes(idx_bytes(np.zeros(9, np.uint8)))
    assert "wrong magic number 00000801, images in IDX format begin with" in read(path)[2][0]
    path.write_bytes(content[:-1])
    assert "is truncated" in read(path)[2][0]
    path.write_bytes(gzip.compress(content)[:-9])  # found out at the end: what came before is there
    images, _, (error,) = read(path)
    assert np.array_equal(images[..., 0], IMAGES[:256])
    assert "the gzip file is truncated or damaged" in error


def test_chunks_are_the_same_when_pickled(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415

    for chunk in Inputs([str(saved(tmp_path / "a.npy", IMAGES))], GREY).chunks():
        content = pickle.dumps(chunk)
        assert len(content) < 1000  # a place, not the images
        again = pickle.loads(content)
        assert list(again.names) == list(chunk.names)
        assert list(again.sources()) == list(chunk.sources())
        assert not any(isinstance(source, Failed) for source in chunk.sources())
