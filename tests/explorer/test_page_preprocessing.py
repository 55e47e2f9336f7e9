"""The page's preprocessing of an image is the runtime's: the same images give the same values."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from infogan_tool.runtime.images.files import preprocess
from infogan_tool.runtime.images.spec import ImageSpec, Preprocessing

if TYPE_CHECKING:
    import numpy.typing as npt

pytestmark = pytest.mark.browser  # it needs Node.js, as those do

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.png"))
PLAIN = ImageSpec(size=28, channels=1, low=0.0, high=1.0)
COLOUR = ImageSpec(size=16, channels=3, low=-1.0, high=1.0)
MNIST = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
PREPROCESSINGS = (
    MNIST,
    Preprocessing(box=22, centre="box", ink="dark", stroke=0.0),
    Preprocessing(box=20, centre="mass", ink="light", stroke=4.0),
)


def preprocessed(preprocessing: Preprocessing) -> ImageSpec:
    return ImageSpec(size=28, channels=1, low=0.0, high=1.0, preprocessing=preprocessing)


def by_the_page(images: list[Image.Image], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Return what ``prepare.js`` makes of images, run by Node.js."""
    told: list[dict[str, Any]] = [
        {
            "width": image.width,
            "height": image.height,
            "channels": len(image.getbands()),
            "data": base64.b64encode(image.tobytes()).decode(),
        }
        for image in images
    ]
    done = subprocess.run(
        ["node", Path(__file__).with_name("prepare_all.mjs")],
        input=json.dumps({"images": told, "image": spec.to_dict()}),
        capture_output=True,
        text=True,
        check=True,
    )
    shape = (spec.size, spec.size, spec.channels)
    return np.stack(
        [np.frombuffer(base64.b64decode(one), np.uint8).reshape(shape) for one in json.loads(done.stdout)]
    )


def differences(images: list[Image.Image], spec: ImageSpec) -> npt.NDArray[np.float64]:
    """Return the greatest difference of each image, of a range of 1."""
    expected = np.stack([preprocess(image, spec) for image in images])
    assert expected.std() > 10  # something is there to see
    found = by_the_page(images, spec)
    return np.abs(found.astype(float) - expected).reshape(len(images), -1).max(axis=1) / 255


def drawn() -> list[Image.Image]:
    """Return digits as the page's surface holds them: light on black, in pens of three widths."""
    strokes = {
        7: [(80, 75), (200, 75), (180, 130), (150, 190), (130, 235)],
        1: [(150, 40), (135, 240)],
        4: [(170, 240), (175, 60), (80, 170), (220, 165)],
    }
    images = []
    for pen in (14, 25, 40):
        for points in strokes.values():
            large = Image.new("L", (1120, 1120))
            line = [(4 * x, 4 * y) for x, y in points]
            ImageDraw.Draw(large).line(line, fill=255, width=4 * pen, joint="curve")
            images.append(large.resize((280, 280), Image.Resampling.LANCZOS))
    return images


def enlarged(path: Path, size: tuple[int, int], margin: int, *, dark: bool = False) -> Image.Image:
    """Return an example digit, enlarged and off the middle of a larger image."""
    digit = Image.open(path).convert("L").resize(size, Image.Resampling.BICUBIC)
    image = Image.new("L", (size[0] + 3 * margin, size[1] + 2 * margin))
    image.paste(digit, (2 * margin, margin // 2))
    return image.point(lambda value: 255 - value) if dark else image


def photographed(path: Path, seed: int) -> Image.Image:
    """Return an example digit as ink on paper that is lit from a side, with grain, in colour."""
    rng = np.random.default_rng(seed)
    ink = np.asarray(enlarged(path, (300, 340), 60), np.float64) / 255
    height, width = ink.shape
    light = 215 - 70 * np.linspace(0, 1, width) + 20 * np.linspace(-1, 1, height)[:, None] ** 2
    paper = light[..., None] * [1.0, 0.97, 0.9]
    pixels = paper * (1 - ink[..., None] * [0.85, 0.8, 0.55]) + rng.normal(0, 2.5, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def see_through(path: Path) -> Image.Image:
    digit = enlarged(path, (120, 90), 20)
    image = Image.new("RGBA", digit.size, (20, 30, 90, 0))
    image.putalpha(digit)
    return image


@pytest.mark.parametrize("spec", [PLAIN, COLOUR], ids=["grey", "colour"])
def test_padded_and_resized(spec: ImageSpec) -> None:
    images = [
        *drawn(),
        *(Image.open(path).convert("L") for path in EXAMPLES),
        *(enlarged(path, (61, 140), 13, dark=True) for path in EXAMPLES),
        *(photographed(path, 1) for path in EXAMPLES[:2]),
        *(see_through(path) for path in EXAMPLES),
    ]
    assert differences(images, spec).max() <= 1e-4


@pytest.mark.parametrize("preprocessing", PREPROCESSINGS, ids=["mnist", "dark-box", "thick"])
def test_drawn_images_are_laid_out_alike(preprocessing: Preprocessing) -> None:
    images = [
        *drawn(),
        *(Image.open(path).convert("L") for path in EXAMPLES),
        *(Image.open(path).convert("RGB").resize((45, 45)) for path in EXAMPLES),
        *(enlarged(path, (300, 210), 40) for path in EXAMPLES),
        enlarged(EXAMPLES[0], (700, 900), 50),
    ]
    assert differences(images, preprocessed(preprocessing)).max() <= 1e-4


def test_empty_and_tiny_images_are_laid_out_alike() -> None:
    images = [Image.new("L", size, value) for size in ((1, 1), (1, 9), (40, 2)) for value in (0, 130)]
    expected = np.stack([preprocess(image, preprocessed(MNIST)) for image in images])
    np.testing.assert_array_equal(by_the_page(images, preprocessed(MNIST)), expected)


def test_photographs_are_laid_out_alike() -> None:
    images = [
        *(photographed(path, 2) for path in EXAMPLES[:6]),
        *(enlarged(path, (150, 200), 30, dark=True) for path in EXAMPLES),
        *(see_through(path) for path in EXAMPLES),
    ]
    found = differences(images, preprocessed(MNIST))
    # The runtime fits the paper in float32, in an order of additions that is the machine's own: where a value
    # lies at the edge between two levels, it may fall to either side.
    assert found.max() <= 1.01 / 255
    assert (found <= 1e-4).mean() >= 0.8
