from __future__ import annotations

import io
import os
import threading
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from infogan_tool.runtime.errors import ImageError, OutputExistsError
from infogan_tool.runtime.images import files as module
from infogan_tool.runtime.images.convert import fit
from infogan_tool.runtime.images.files import read_image, save_png
from infogan_tool.runtime.images.spec import ImageSpec

if TYPE_CHECKING:
    from pathlib import Path

GREY = ImageSpec(size=28, channels=1, low=0, high=1)
COLOUR = ImageSpec(size=16, channels=3, low=-1, high=1)


def image(mode: str = "L", size: tuple[int, int] = (28, 28)) -> Image.Image:
    """Return a smooth image, dark at the top left, light at the bottom right."""
    down, right = np.mgrid[0 : size[1], 0 : size[0]]
    ramp = (down / size[1] + right / size[0]) / 2 * 255
    return Image.fromarray(ramp.astype(np.uint8)).convert(mode)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


# --- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tif", "webp", "pgm"])
def test_a_grey_image_of_the_right_size_keeps_its_values(kind: str, tmp_path: Path) -> None:
    digit = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    options = {"lossless": True} if kind == "webp" else {}
    path = saved(tmp_path / f"digit.{kind}", Image.fromarray(digit), **options)
    np.testing.assert_array_equal(read_image(path, GREY)[..., 0], digit)


@pytest.mark.parametrize("kind", ["png", "bmp", "tif", "ppm"])
def test_a_colour_image_of_the_right_size_keeps_its_values(kind: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    path = saved(tmp_path / f"x.{kind}", Image.fromarray(values))
    np.testing.assert_array_equal(read_image(path, COLOUR), values)


def test_jpeg_and_a_wrong_ending(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", image(), format="JPEG", quality=95)
    assert np.abs(read_image(path, GREY)[..., 0].astype(int) - np.asarray(image())).max() < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"])
@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_mode_gives_the_same_image(mode: str, spec: ImageSpec) -> None:
    plain = fit(image("L", (56, 56)), spec).astype(int)
    shown = fit(image(mode, (56, 56)), spec)
    assert shown.dtype == np.uint8
    assert shown.shape == (spec.size, spec.size, spec.channels)
    if mode == "I":  # full intensity is 65,535 there
        assert shown.max() <= 1
    elif mode != "1":  # dithered
        assert np.abs(shown - plain).max() <= 6


def test_16_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 28 * 28).reshape(28, 28).astype(np.uint16)
    expected = np.rint(values / 257)
    for name in ("x.png", "x.tif", "x.pgm"):
        path = saved(tmp_path / name, Image.fromarray(values))
        np.testing.assert_array_equal(read_image(path, GREY)[..., 0], expected)
    big_endian = Image.frombytes("I;16B", (28, 28), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(fit(big_endian, GREY)[..., 0], expected)


@pytest.mark.parametrize(
    ("full", "kind"), [(1, "F"), (255, "F"), (65535, "F"), (65535, "I"), (2**31 - 1, "I")]
)
def test_scale_of_wide_pixels(full: int, kind: str) -> None:
    values = np.linspace(0, full, 28 * 28).reshape(28, 28).astype(np.float32 if kind == "F" else np.int32)
    shown = fit(Image.fromarray(values), GREY)
    assert (shown.min(), shown.max()) == (0, 255)
    np.testing.assert_allclose(shown.ravel(), np.linspace(0, 255, 28 * 28), atol=0.51)


@pytest.mark.parametrize("values", [[-1, 1], [0, 1e6], [0, np.nan], [0, np.inf]])
def test_float_pixels_without_a_known_scale_are_refused(values: list[float]) -> None:
    with pytest.raises(ImageError, match="an unknown scale"):
        fit(Image.fromarray(np.array([values], np.float32)), GREY)


def test_transparency_keeps_the_stroke_visible() -> None:
    for stroke, paper in ((0, 255), (255, 0)):
        drawing = np.zeros((28, 28, 4), np.uint8)
        drawing[10:18, 10:18] = (stroke, stroke, stroke, 255)
        drawing[0, 0] = (77, 77, 77, 0)  # what is transparent does not show
        shown = fit(Image.fromarray(drawing), GREY)[..., 0]
        assert (shown[10:18, 10:18] == stroke).all()
        assert (np.delete(shown.ravel(), np.flatnonzero(drawing[..., 3])) == paper).all()


def test_transparent_palette_and_colour_key(tmp_path: Path) -> None:
    image = Image.new("P", (28, 28), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.paste(0, (0, 0, 14, 28))
    path = saved(tmp_path / "x.gif", image, transparency=1)
    shown = read_image(path, GREY)[..., 0]
    assert (shown[:, :14] == 0).all()
    assert (shown[:, 14:] == 255).all()
    key = saved(tmp_path / "x.png", Image.fromarray(np.array([[0, 90], [90, 0]], np.uint8)), transparency=90)
    small = ImageSpec(size=2, channels=1, low=0, high=1)
    assert read_image(key, small)[..., 0].tolist() == [[0, 255], [255, 0]]


def test_opaque_alpha_changes_nothing() -> None:
    values = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    with_alpha = np.dstack([values, np.full((16, 16), 255, np.uint8)])
    np.testing.assert_array_equal(fit(Image.fromarray(with_alpha), COLOUR), values)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("L", (28, 28), level) for level in (10, 200, 90)]
    for name in ("x.gif", "x.png", "x.webp", "x.tif"):
        options = {"lossless": True} if name == "x.webp" else {}
        path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **options)
        assert (read_image(path, GREY) == 10).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_exif_orientation(orientation: int, kind: str, tmp_path: Path) -> None:
    upright = np.zeros((28, 28), np.uint8)
    upright[:14, :14] = 80
    upright[:14, 14:] = 160
    upright[14:, :14] = 240
    # How a camera that is turned stores the image: the transposition that the orientation undoes.
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = Image.fromarray(upright)
    stored = stored if turn is None else stored.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {"quality": 95} if kind == "jpg" else {}
    path = saved(tmp_path / f"x.{kind}", stored, exif=exif, **options)
    shown = read_image(path, GREY)[..., 0].astype(int)
    corners = [shown[3, 3], shown[3, 24], shown[24, 3], shown[24, 24]]
    np.testing.assert_allclose(corners, [80, 160, 240, 0], atol=4)


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.jpg", image(), exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xffgarbage")
    assert read_image(path, GREY).shape == (28, 28, 1)


# --- bringing it to size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (28, 28), (27, 29), (640, 480), (1, 2000), (2000, 1)])
def test_any_size_fits(size: tuple[int, int]) -> None:
    for spec in (GREY, COLOUR):
        assert fit(image("L", size), spec).shape == (spec.size, spec.size, spec.channels)


def test_aspect_is_kept_and_padding_is_the_border() -> None:
    wide = np.full((50, 100, 3), (30, 60, 90), np.uint8)
    wide[20:30, 40:60] = 255
    shown = fit(Image.fromarray(wide), ImageSpec(size=20, channels=3, low=0, high=1))
    assert (shown[:5] == (30, 60, 90)).all()
    assert (shown[15:] == (30, 60, 90)).all()
    bright = shown[..., 0] > 140
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (9, 10, 8, 11)
    tall = fit(Image.fromarray(wide.transpose(1, 0, 2)), ImageSpec(size=20, channels=3, low=0, high=1))
    np.testing.assert_allclose(tall, shown.transpose(1, 0, 2), atol=3)  # columns are resized first


def test_reduction_is_antialiased() -> None:
    checks = (np.indices((280, 280)).sum(0) % 2 * 255).astype(np.uint8)
    shown = fit(Image.fromarray(checks), GREY)
    assert np.abs(shown.astype(int) - 127).max() <= 2


def test_fit_leaves_its_argument_alone() -> None:
    given = image("RGBA", (40, 30))
    before = given.tobytes()
    fit(given, GREY)
    assert (given.tobytes(), given.mode, given.size) == (before, "RGBA", (40, 30))


# --- what is refused ---------------------------------------------------------------------------------------


def refusal(path: Path | str, spec: ImageSpec = GREY) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path, spec)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_missing_folder_pipe_and_device(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.png") == f"{tmp_path / 'no.png'}: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path} is a folder"
    assert refusal("") == ": No such file or directory"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refusal(tmp_path / "pipe") == f"{tmp_path / 'pipe'} is not a regular file"
        assert refusal("/dev/zero") == "/dev/zero is not a regular file"


def test_not_an_image(tmp_path: Path) -> None:
    for content in (
        b"hello",
        b"<svg/>",
        b"%PDF-1.7",
        b"%!PS-Adobe",
        b"RIFFxxxxWAVE",
        b"PK\x03\x04",
        b"P",
        b"P9 ",
    ):
        path = tmp_path / "x.png"
        path.write_bytes(content)
        assert refusal(path) == (
            f"{path}: not an image of a known format (PNG, JPEG, GIF, BMP, TIFF, WEBP, PPM)"
        )
    path.write_bytes(b"")
    assert refusal(path) == f"{path}: an empty file"


def test_a_name_with_control_characters_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n.png"
    path.write_bytes(b"x")
    assert "a\\x1b[31m\\n.png: not an image" in refusal(path)
    assert "a\\x1b[31m\\nb: No such file" in refusal(tmp_path / "a\x1b[31m\nb")


def test_no_warning_leaks_and_filters_come_back(tmp_path: Path) -> None:
    image = Image.new("P", (28, 28), 1)
    path = saved(tmp_path / "x.png", image, transparency=bytes([0, 128]))  # Pillow warns of this
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [threading.Thread(target=read_image, args=(path, GREY)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before
    assert caught == []
    assert module._Silence.depth == 0


# --- writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_save_png_round_trip(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    save_png(tmp_path / "x.png", values)
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(
            np.asarray(image), values.reshape(5, 7, 3) if shape[2:] == (3,) else values.reshape(5, 7)
        )
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((5, 7), np.float32),
        np.zeros((5, 7, 4), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 7), np.uint8),
    ],
)
def test_save_png_refusals(values: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a PNG needs"):
        save_png(tmp_path / "x.png", values)
    assert not list(tmp_path.iterdir())


def test_save_png_replaces_files_but_never_a_folder(tmp_path: Path) -> None:
    (tmp_path / "d.png").mkdir()
    with pytest.raises(OutputExistsError, match=r"d\.png already exists: it is not a file"):
        save_png(tmp_path / "d.png", np.zeros((2, 2), np.uint8))


def test_png_bytes_are_a_function_of_the_pixels(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_png(tmp_path / name, np.eye(9, dtype=np.uint8) * 255)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).mode == "L"
