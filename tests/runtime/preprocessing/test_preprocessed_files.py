"""Preprocessing of photographs, scans and drawings of digits, read from files."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from infogan_tool.runtime.errors import BundleError, ImageError
from infogan_tool.runtime.images import formats
from infogan_tool.runtime.images.convert import fit
from infogan_tool.runtime.images.files import as_png, load_image, read_image
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.preprocessing.centred_foreground import stroke_width
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

PREPROCESSING = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
SPEC = ImageSpec(size=28, channels=1, low=0, high=1, preprocessing=PREPROCESSING)
EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.png"))
SEVEN = next(path for path in EXAMPLES if path.stem == "seven")
FIVE = next(path for path in EXAMPLES if path.stem == "five")


def native(path: Path = SEVEN) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def content(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def on_page(digit: npt.NDArray[np.uint8], size: tuple[int, int] = (400, 300), side: int = 160) -> Image.Image:
    """Return the digit in black on white, large and off-centre, mode L."""
    page = Image.new("L", size, 255)
    glyph = Image.fromarray(255 - digit).resize((side, side), Image.Resampling.BICUBIC)
    page.paste(glyph, (size[0] - side - 20, 15))
    return page


def alike(preprocessed: npt.NDArray[np.uint8], digit: npt.NDArray[np.uint8]) -> float:
    """Return the correlation of two images' pixels."""
    return float(np.corrcoef(preprocessed.ravel(), digit.ravel())[0, 1])


# --- left alone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_preprocessed_image_keeps_every_bit(path: Path) -> None:
    assert len(EXAMPLES) == 10
    np.testing.assert_array_equal(read_image(path, SPEC)[..., 0], native(path))
    np.testing.assert_array_equal(load_image(path, SPEC)[0], native(path) / np.float32(255))


def test_raw_and_plain_images_are_padded_and_resized_only() -> None:
    page = on_page(native())
    plain = fit(page, SPEC)
    np.testing.assert_array_equal(read_image(content(page), SPEC, raw=True), plain)
    bare = dataclasses.replace(SPEC, preprocessing=None)
    np.testing.assert_array_equal(read_image(content(page), bare), plain)
    assert alike(read_image(content(page), SPEC), plain) < 0.5


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_page_stays_blank(shade: int) -> None:
    page = Image.new("L", (200, 120), shade)
    assert np.ptp(read_image(content(page), SPEC)) == 0


def test_an_image_without_an_object_is_only_padded_and_resized() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (200, 200), np.uint8))
    grain = Image.fromarray(rng.normal(128, 30, (60, 90)).clip(0, 255).astype(np.uint8))
    scene = Image.fromarray(rng.integers(0, 256, (7, 7), np.uint8)).resize(
        (200, 200), Image.Resampling.BICUBIC
    )
    for image in (noise, grain, scene):
        np.testing.assert_array_equal(read_image(content(image), SPEC), fit(image, SPEC))


# --- found -------------------------------------------------------------------------------------------------


def inverted(digit: npt.NDArray[np.uint8]) -> bytes:
    return content(Image.fromarray(255 - digit))


def light_on_dark(digit: npt.NDArray[np.uint8]) -> bytes:
    return content(on_page(digit).point([255 - v for v in range(256)]))


def painted(digit: npt.NDArray[np.uint8], ink: tuple[int, int, int], ground: tuple[int, int, int]) -> bytes:
    coverage = 1 - np.asarray(on_page(digit), np.float64)[..., None] / 255
    return content(Image.fromarray((coverage * ink + (1 - coverage) * ground).astype(np.uint8)))


def coloured(digit: npt.NDArray[np.uint8]) -> bytes:
    return painted(digit, (210, 60, 40), (250, 230, 90))


def of_one_luminance(digit: npt.NDArray[np.uint8]) -> bytes:
    return painted(digit, (200, 60, 60), (60, 132, 60))


def see_through(digit: npt.NDArray[np.uint8], colour: tuple[int, int, int] = (20, 20, 90)) -> bytes:
    alpha = 255 - np.asarray(on_page(digit))
    rgb = np.broadcast_to(np.array(colour, np.uint8), (*alpha.shape, 3))
    return content(Image.fromarray(np.dstack([rgb, alpha])))


def light_see_through(digit: npt.NDArray[np.uint8]) -> bytes:
    return see_through(digit, (250, 240, 120))


def sixteen_bits(digit: npt.NDArray[np.uint8]) -> bytes:
    return content(Image.fromarray(np.asarray(on_page(digit)).astype(np.uint16) * 257))


def palette(digit: npt.NDArray[np.uint8]) -> bytes:
    return content(on_page(digit).convert("P"))


def cmyk(digit: npt.NDArray[np.uint8]) -> bytes:
    return content(on_page(digit).convert("CMYK"), "JPEG", quality=80)


def animated(digit: npt.NDArray[np.uint8]) -> bytes:
    other = on_page(native(FIVE))
    return content(on_page(digit), "GIF", save_all=True, append_images=[other, other])


def turned_by_the_camera(digit: npt.NDArray[np.uint8]) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return content(on_page(digit).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def lit_unevenly(digit: npt.NDArray[np.uint8]) -> bytes:
    page = np.asarray(on_page(digit).convert("RGB"), np.float64) * (0.9, 0.88, 0.8)
    down, right = np.mgrid[0 : 1 : page.shape[0] * 1j, 0 : 1 : page.shape[1] * 1j]
    noise = np.random.default_rng(1).normal(0, 4, page.shape)
    lit = page * (1 - 0.5 * right - 0.2 * down**2)[..., None] + noise
    return content(Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)), "JPEG", quality=70)


def in_shadow(digit: npt.NDArray[np.uint8]) -> bytes:
    page = np.asarray(on_page(digit), np.float64)
    down, right = np.mgrid[0 : 1 : page.shape[0] * 1j, 0 : 1 : page.shape[1] * 1j]
    page = page * np.where(down + right > 0.9, 0.7, 1.0)
    blurred = Image.fromarray(page.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return content(blurred, "JPEG", quality=75)


def on_ruled_paper(digit: npt.NDArray[np.uint8]) -> bytes:
    page = on_page(digit).convert("RGB")
    over = page.copy()
    draw = ImageDraw.Draw(over)
    for y in range(12, page.height, 31):
        draw.line([(0, y), (page.width, y)], fill=(170, 190, 235))
    darker = np.minimum(np.asarray(page), np.asarray(over))
    specks = Image.fromarray(darker)
    ImageDraw.Draw(specks).ellipse((30, 250, 34, 254), fill=(0, 0, 0))
    return content(specks)


KINDS = (
    inverted, light_on_dark, coloured, of_one_luminance, see_through, light_see_through, sixteen_bits,
    palette, cmyk, animated, turned_by_the_camera, lit_unevenly, in_shadow, on_ruled_paper,
)  # fmt: skip


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("path", [SEVEN, FIVE], ids=lambda path: path.stem)
def test_a_digit_comes_out_as_it_was(make: Callable[[npt.NDArray[np.uint8]], bytes], path: Path) -> None:
    digit = native(path)
    preprocessed = read_image(make(digit), SPEC)[..., 0]
    assert alike(preprocessed, digit) > 0.8
    assert alike(read_image(make(digit), SPEC, raw=True)[..., 0], digit) < 0.75, "the test asks for something"


def test_a_thin_pen_is_thickened() -> None:
    page = Image.new("L", (600, 800), 245)
    ImageDraw.Draw(page).line([(200, 150), (420, 160), (300, 420)], fill=30, width=3)
    thin = dataclasses.replace(SPEC, preprocessing=dataclasses.replace(PREPROCESSING, stroke=0.0))
    widths = [stroke_width(read_image(content(page), s)[..., 0] / np.float32(255)) for s in (thin, SPEC)]
    assert widths[0] < 1.3
    assert 1.5 < widths[1] < 2.5


def test_a_part_that_does_not_touch_belongs_and_dust_does_not() -> None:
    page = Image.new("L", (300, 300), 255)
    draw = ImageDraw.Draw(page)
    draw.line([(120, 100), (115, 150), (160, 150), (180, 180), (150, 220), (110, 215)], fill=0, width=12)
    whole = page.copy()
    ImageDraw.Draw(whole).line([(130, 80), (190, 78)], fill=0, width=12)
    dusty = page.copy()
    ImageDraw.Draw(dusty).ellipse((250, 250, 256, 256), fill=0)
    without, with_bar, with_dust = (read_image(content(p), SPEC) for p in (page, whole, dusty))
    assert alike(with_bar, without) < 0.8
    assert np.abs(with_dust.astype(int) - without).max() <= 3


def test_two_objects_are_kept_together() -> None:
    page = Image.new("L", (500, 260), 255)
    for left, path in ((20, SEVEN), (280, FIVE)):
        page.paste(
            Image.fromarray(255 - native(path)).resize((200, 200), Image.Resampling.BICUBIC), (left, 30)
        )
    preprocessed = read_image(content(page), SPEC)[..., 0]
    assert alike(preprocessed, native(SEVEN)) < 0.6
    assert alike(preprocessed, native(FIVE)) < 0.6
    inked = np.flatnonzero((preprocessed > 60).any(axis=0))
    assert inked[-1] - inked[0] + 1 == 20, "both lie side by side in the box"


def test_tiny_images_are_read_too() -> None:
    small = Image.fromarray(native()).resize((9, 9), Image.Resampling.BOX)
    assert alike(read_image(content(small), SPEC)[..., 0], native()) > 0.7
    for size in ((1, 1), (1, 9), (2, 300)):
        assert read_image(content(Image.new("L", size, 99)), SPEC).shape == (28, 28, 1)


# --- by the preprocessing ---------------------------------------------------------------------------------


def test_the_declared_preprocessing_decides() -> None:
    page = content(on_page(native()))
    light = read_image(page, SPEC)[..., 0]
    dark = dataclasses.replace(SPEC, preprocessing=dataclasses.replace(PREPROCESSING, ink="dark"))
    np.testing.assert_array_equal(read_image(page, dark)[..., 0], 255 - light)
    np.testing.assert_array_equal(
        read_image(content(Image.fromarray(255 - light)), dark)[..., 0],
        255 - light,
        "it is preprocessed already",
    )
    boxed = dataclasses.replace(PREPROCESSING, box=12, centre="box")
    inked = read_image(page, dataclasses.replace(SPEC, preprocessing=boxed))[..., 0] > 40
    rows, columns = np.flatnonzero(inked.any(1)), np.flatnonzero(inked.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 12
    assert abs(rows[0] + rows[-1] + 1 - 28) <= 1
    assert abs(columns[0] + columns[-1] + 1 - 28) <= 1
    larger = ImageSpec(
        size=40, channels=1, low=-1, high=1, preprocessing=dataclasses.replace(PREPROCESSING, box=30)
    )
    image = load_image(page, larger)
    assert (image.dtype, image.shape) == (np.float32, (1, 40, 40))
    assert (image.min(), image.max()) == (-1, 1)


def test_preprocessing_in_the_metadata() -> None:
    data = SPEC.to_dict()
    assert data["preprocessing"] == {
        "kind": "centred_foreground", "box": 20, "centre": "mass", "ink": "light", "stroke": 2.0
    }  # fmt: skip
    assert ImageSpec.from_dict(data) == SPEC
    del data["preprocessing"]
    assert ImageSpec.from_dict(data).preprocessing is None
    assert "preprocessing" not in ImageSpec.from_dict(data).to_dict()
    assert ImageSpec.from_dict(data | {"preprocessing": {"kind": "plain"}}).preprocessing is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "run_this"},
            "'image.preprocessing.kind' is 'run_this', not one of plain, centred_foreground",
        ),
        ({"kind": 3}, "'image.preprocessing.kind' must be a short printable text"),
        ({"box": 0}, "'image.preprocessing.box' must be a whole number from 1 to 28"),
        ({"box": 29}, "'image.preprocessing.box' must be a whole number from 1 to 28"),
        ({"box": 20.5}, "'image.preprocessing.box' must be a whole number from 1 to 28"),
        ({"centre": "\x1b[2J"}, "'image.preprocessing.centre' must be a short printable text"),
        ({"ink": "red"}, "'image.preprocessing.ink' is 'red', not one of light, dark"),
        ({"stroke": -1}, "'image.preprocessing.stroke' must be a number from 0 to 10"),
        ({"stroke": float("nan")}, "'image.preprocessing.stroke' must be a number from 0 to 10"),
        ({"stroke": 10**9}, "'image.preprocessing.stroke' must be a number from 0 to 10"),
    ],
)
def test_an_invalid_preprocessing_is_refused(change: dict[str, Any], message: str) -> None:
    data = SPEC.to_dict()
    with pytest.raises(BundleError, match=message.replace(".", r"\.")):
        ImageSpec.from_dict(data | {"preprocessing": data["preprocessing"] | change})
    with pytest.raises(BundleError, match=r"has no 'image\.preprocessing\.box'"):
        ImageSpec.from_dict(data | {"preprocessing": {"kind": "centred_foreground"}})
    with pytest.raises(BundleError, match=r"'image\.preprocessing' must be a table"):
        ImageSpec.from_dict(data | {"preprocessing": "mnist"})
    with pytest.raises(BundleError, match="only grey images can have a preprocessing"):
        ImageSpec.from_dict(data | {"channels": 3})


# --- sources -----------------------------------------------------------------------------------------------


def test_paths_bytes_and_open_files_give_the_same_image() -> None:
    expected = load_image(SEVEN, SPEC)
    with SEVEN.open("rb") as file:
        sources = (str(SEVEN), SEVEN.read_bytes(), io.BytesIO(SEVEN.read_bytes()), file)
        for source in sources:
            np.testing.assert_array_equal(load_image(source, SPEC), expected)
        assert not file.closed


def test_sources_that_are_no_images_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for source, message in (
        (b"", "the image: an empty file"),
        (b"hello", "the image: not an image of a known format"),
        (io.BytesIO(SEVEN.read_bytes()[:40]), "the image: damaged"),
    ):
        with pytest.raises(ImageError, match=message):
            load_image(source, SPEC)
    (tmp_path / "x.png").write_bytes(b"hello")
    with (tmp_path / "x.png").open("rb") as file, pytest.raises(ImageError, match=r"x\.png: not an image"):
        load_image(file, SPEC)
    monkeypatch.setattr(formats, "MAX_BYTES", 100)
    with pytest.raises(ImageError, match="the image: more than 100 bytes"):
        load_image(io.BytesIO(bytes(101)), SPEC)


def test_as_png() -> None:
    spec = ImageSpec(size=28, channels=1, low=-1, high=1, preprocessing=PREPROCESSING)
    with Image.open(io.BytesIO(as_png(load_image(SEVEN, spec), spec))) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(image), native())
    colour = ImageSpec(size=8, channels=3, low=0, high=1)
    with Image.open(io.BytesIO(as_png(np.zeros((3, 8, 8), np.float32), colour))) as image:
        assert (image.mode, image.size) == ("RGB", (8, 8))
