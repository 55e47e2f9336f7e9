"""The static site's preprocessing: what it accepts, it preprocesses as the runtime does; the rest it refuses.

Needs Node.js. Where that is not installed, these tests are skipped; `make check` fails there all the same,
because `make test-javascript` needs it too.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_page_categories import on_the_page as returned_by

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.images.convert import preprocess
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    import numpy.typing as npt

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.png"))
DIGITS = [Image.open(path).convert("L") for path in EXAMPLES]
GREY = ImageSpec(size=28, channels=1, low=0.0, high=1.0)
COLOUR = ImageSpec(size=16, channels=3, low=-1.0, high=1.0)
MNIST = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
PREPROCESSINGS = (
    MNIST,
    Preprocessing(box=22, centre="box", ink="dark", stroke=0.0),
    Preprocessing(box=20, centre="mass", ink="light", stroke=4.0),
)
LEVEL = 1
"""The runtime fits the background in float32, so that a value between two levels may fall to either side."""


def centred(preprocessing: Preprocessing = MNIST) -> ImageSpec:
    return ImageSpec(size=28, channels=1, low=0.0, high=1.0, preprocessing=preprocessing)


def on_the_page(images: list[Image.Image], spec: ImageSpec) -> list[npt.NDArray[np.uint8] | None]:
    """Return what ``preprocessing.js`` returns for images of mode L and RGBA, run by Node.js."""
    given: list[dict[str, Any]] = [
        {
            "width": image.width,
            "height": image.height,
            "channels": len(image.getbands()),
            "data": base64.b64encode(image.tobytes()).decode(),
        }
        for image in images
    ]
    done = subprocess.run(
        ["node", Path(__file__).with_name("preprocess_all.mjs")],
        input=json.dumps({"images": given, "image": spec.to_dict()}),
        capture_output=True,
        text=True,
        check=True,
    )
    shape = (spec.size, spec.size, spec.channels)
    return [
        None if one is None else np.frombuffer(base64.b64decode(one), np.uint8).reshape(shape)
        for one in json.loads(done.stdout)
    ]


def differences(images: list[Image.Image], spec: ImageSpec) -> list[int | None]:
    """Return each image's greatest difference from the runtime's, in levels; None where it is refused."""
    expected = [preprocess(image, spec) for image in images]
    assert np.std(expected) > 10  # the images are not empty
    found = on_the_page(images, spec)
    return [
        None if one is None else int(np.abs(one.astype(int) - other).max())
        for one, other in zip(found, expected, strict=True)
    ]


def drawings() -> list[Image.Image]:
    """Return digits as the canvas holds them: light on black, in pens of three widths."""
    strokes = {
        7: [(80, 75), (200, 75), (180, 130), (150, 190), (130, 235)],
        1: [(150, 40), (135, 240)],
        4: [(170, 240), (175, 60), (80, 170), (220, 165)],
        5: [(2, 2), (278, 2), (100, 140), (278, 278)],  # to the edges
    }
    images = []
    for pen in (14, 25, 40):
        for points in strokes.values():
            large = Image.new("L", (1120, 1120))
            line = [(4 * x, 4 * y) for x, y in points]
            ImageDraw.Draw(large).line(line, fill=255, width=4 * pen, joint="curve")
            images.append(large.resize((280, 280), Image.Resampling.LANCZOS))
    marked = images[0].copy()
    ImageDraw.Draw(marked).ellipse((10, 260, 16, 266), fill=255)  # a mark that does not belong to the digit
    broken = images[1].copy()
    ImageDraw.Draw(broken).rectangle((100, 120, 200, 135), fill=0)  # a digit in two parts
    nib = Image.new("L", (280, 280))  # a thick stroke, and a hairline that blur has made faint
    ImageDraw.Draw(nib).arc((90, 50, 190, 230), 90, 270, fill=60, width=5)
    ImageDraw.Draw(nib).arc((90, 50, 190, 230), 270, 90, fill=255, width=24)
    return [*images, marked, broken, nib]


def enlarged(digit: Image.Image, size: tuple[int, int], margin: int, *, dark: bool = False) -> Image.Image:
    """Return a digit, enlarged and away from the middle of a larger image on an even background."""
    image = Image.new("L", (size[0] + 3 * margin, size[1] + 2 * margin))
    image.paste(digit.resize(size, Image.Resampling.BICUBIC), (2 * margin, margin // 2))
    return image.point(lambda value: 255 - value) if dark else image


def photographed(digit: Image.Image, seed: int) -> Image.Image:
    """Return a digit as ink on paper that is lit from a side, with grain, in colour."""
    rng = np.random.default_rng(seed)
    ink = np.asarray(enlarged(digit, (300, 340), 60), np.float64) / 255
    height, width = ink.shape
    light = 215 - 70 * np.linspace(0, 1, width) + 20 * np.linspace(-1, 1, height)[:, None] ** 2
    paper = light[..., None] * [1.0, 0.97, 0.9]
    pixels = paper * (1 - ink[..., None] * [0.85, 0.8, 0.55]) + rng.normal(0, 2.5, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGBA")


def coloured(digit: Image.Image, paper: tuple[int, int, int], ink: tuple[int, int, int]) -> Image.Image:
    mask = enlarged(digit, (75, 100), 15)
    image = Image.new("RGB", mask.size, paper)
    image.paste(ink, mask=mask)
    return image.convert("RGBA")


def transparent(digit: Image.Image) -> Image.Image:
    alpha = enlarged(digit, (120, 90), 20)
    image = Image.new("RGBA", alpha.size, (20, 30, 90, 0))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
def test_without_a_preprocessing_images_of_any_shape_are_padded_and_resized_alike(spec: ImageSpec) -> None:
    shapes = [(61, 140), (140, 61), (15, 768), (300, 5), (5, 300), (1, 1), (1, 9), (700, 900)]
    images = [
        *drawings(),
        *DIGITS,
        *(enlarged(DIGITS[i], shape, 13, dark=i % 2 == 0) for i, shape in enumerate(shapes)),
        *(DIGITS[i].resize(shape) for i, shape in enumerate(shapes)),
        *(photographed(digit, 1) for digit in DIGITS[:2]),
    ]
    assert set(differences(images, spec)) == {0}
    # The runtime resizes before it fills what is transparent, the page after; both clip in between.
    assert max(one or 0 for one in differences([*map(transparent, DIGITS)], spec)) <= 20


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS, ids=["mnist", "dark-box", "thick"])
def test_drawings_are_preprocessed_alike(preprocessing: Preprocessing) -> None:
    drawn = drawings() if preprocessing is MNIST else drawings()[::2]
    found = differences([*drawn, *DIGITS[:5]], centred(preprocessing))
    assert None not in found
    assert max(one or 0 for one in found) <= LEVEL
    assert found.count(0) >= len(found) // 2


def test_scans_on_an_even_background_are_preprocessed_alike() -> None:
    images = [
        *(digit.resize((45, 45)).convert("RGBA") for digit in DIGITS[:4]),
        *(enlarged(digit, (300, 210), 40) for digit in DIGITS[4:7]),
        *(enlarged(digit, (150, 200), 30, dark=True) for digit in DIGITS[:5]),
        *(transparent(digit) for digit in DIGITS[5:]),
        enlarged(DIGITS[0], (700, 900), 50),
        enlarged(DIGITS[0], (70, 210), 10),
    ]
    found = differences(images, centred())
    assert None not in found
    assert max(one or 0 for one in found) <= LEVEL


def test_ink_that_differs_in_colour_more_than_in_brightness_is_found_alike() -> None:
    pairs = [
        ((0, 0, 0), (0, 0, 70)),
        ((40, 130, 40), (230, 30, 30)),
        ((250, 250, 0), (250, 250, 220)),
        ((30, 60, 200), (200, 20, 40)),
        ((90, 90, 90), (90, 60, 255)),
    ]
    images = [coloured(digit, *pair) for digit in DIGITS[7:] for pair in pairs]
    found = differences(images, centred())
    assert None not in found
    assert max(one or 0 for one in found) <= LEVEL


def test_an_image_is_preprocessed_only_for_its_own_preprocessing() -> None:
    given = {"kind": "preprocessed", **centred().to_dict()}
    specs = [centred(), centred(PREPROCESSINGS[1]), GREY]
    calls = [[given, spec.to_dict()] for spec in specs]
    assert returned_by("images.js", "isPreprocessedFor", calls) == [True, False, False]
    assert returned_by(
        "images.js", "isPreprocessedFor", [[{"kind": "preprocessed", **GREY.to_dict()}, GREY.to_dict()]]
    )


def test_drawings_are_encoded_alike() -> None:
    bundle = load_bundle(device="cpu")
    images = [*drawings()[::3], *(enlarged(digit, (150, 200), 30, dark=True) for digit in DIGITS[5:])]
    found = bundle.encode(np.stack([one for one in on_the_page(images, bundle.image) if one is not None]))
    expected = bundle.encode(np.stack([preprocess(image, bundle.image) for image in images]))
    np.testing.assert_array_equal(found.categories, expected.categories)
    np.testing.assert_allclose(found.probabilities[0], expected.probabilities[0], atol=0.01)
    np.testing.assert_allclose(found.style_mean, expected.style_mean, atol=0.01)


def test_what_the_page_cannot_preprocess_is_refused() -> None:
    images = [
        *(photographed(digit, 2) for digit in DIGITS),
        *(enlarged(digit, (15, 768), 3, dark=True) for digit in DIGITS[:5]),
        *(digit.resize((300, 5)) for digit in DIGITS[:5]),
        Image.effect_noise((200, 200), 60),
        Image.linear_gradient("L"),
    ]
    assert [one is None for one in on_the_page(images, centred())] == [True] * len(images)


def test_empty_and_tiny_images_are_preprocessed_alike() -> None:
    images = [Image.new("L", size, value) for size in ((1, 1), (2, 5), (280, 280)) for value in (0, 130)]
    expected = np.stack([preprocess(image, centred()) for image in images])
    np.testing.assert_array_equal(on_the_page(images, centred()), expected)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_shape_the_page_preprocesses_alike_or_refuses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = np.rint(2 ** rng.uniform(4, 9, (12, 2))).astype(int)
    images = [
        enlarged(
            DIGITS[int(rng.integers(10))], (int(width), int(height)), int(rng.integers(4, 30)), dark=dark
        )
        for (width, height), dark in zip(shapes, rng.random(12) < 0.5, strict=True)
    ]
    found = differences(images, centred())
    accepted = [one for one in found if one is not None]
    assert len(accepted) >= 4
    assert max(accepted) <= LEVEL
