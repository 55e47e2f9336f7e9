"""Images that are not digits, to measure how many an encoder flags as out of distribution.

Every group has a seed of its own. Photographs, faces, textures and printed pages are crops of the
images that scikit-image and scikit-learn carry in their wheels; letters are set in the fonts of
``fonts.py``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GROUPS", "LETTERS", "outliers"]

LOOKALIKES = "OoIilZzSsBbGgq"
"""Letters that look like 0, 1, 2, 5, 8, 6 or 9 in some fonts; they are not used."""
LETTERS = "".join(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in LOOKALIKES)
_SYMBOLS = "?!&%@#+=*$<>{}~"
_WORDS = ("hello", "where", "yes", "paper", "twenty", "Monday", "thanks", "five", "north", "water")
_PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
    "china.jpg",
    "flower.jpg",
)
_TEXTURES = ("brick.png", "grass.png", "gravel.png")
_PAGES = ("page.png", "text.png")


def outliers(count: int, seed: int, fonts: list[Path]) -> dict[str, list[bytes]]:
    """Return ``count`` image files of each group, by its name."""
    found = {}
    for number, (name, draw) in enumerate(GROUPS.items()):
        rng = np.random.default_rng([seed, number])
        found[name] = [_png(draw(rng, fonts)) for _ in range(count)]
    return found


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


# --- blank and noise -----------------------------------------------------------------------------------


def _blank(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    height, width = rng.integers(28, 400, 2)
    page = np.full((height, width), rng.uniform(0, 255))
    kind = rng.integers(3)
    if kind:  # lit from one side, and photographed
        page *= np.linspace(1, rng.uniform(0.5, 1), width)[None, :]
    if kind == 2:  # noqa: PLR2004
        page += rng.normal(0, rng.uniform(1, 6), page.shape)
    return _image(page)


def _noise(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    side = int(rng.choice([28, 64, 200]))
    kind = rng.integers(5)
    if kind == 0:
        noise = rng.uniform(0, 255, (side, side))
    elif kind == 1:
        noise = rng.normal(rng.uniform(60, 190), rng.uniform(15, 60), (side, side))
    elif kind == 2:  # noqa: PLR2004 - salt and pepper
        noise = np.where(rng.random((side, side)) < rng.uniform(0.02, 0.3), 255, 0) * 1.0
        noise = 255 - noise if rng.random() < 0.5 else noise  # noqa: PLR2004
    else:  # clouds of a random grain
        grain = int(rng.integers(3, 12))
        small = Image.fromarray(rng.normal(128, 60, (grain, grain)).astype(np.float32))
        noise = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    return _image(noise)


# --- letters -------------------------------------------------------------------------------------------


def _written(text: str, font: Path, size: int = 160) -> Image.Image:
    face = ImageFont.truetype(str(font), size)
    left, top, right, bottom = face.getbbox(text)
    page = Image.new("L", (int(right - left) + size, int(bottom - top) + size), 255)
    ImageDraw.Draw(page).text((size / 2 - left, size / 2 - top), text, fill=0, font=face)
    return page


def _letter(rng: np.random.Generator, fonts: list[Path]) -> Image.Image:
    return _written(str(rng.choice(list(LETTERS))), fonts[rng.integers(len(fonts))])


def _symbol(rng: np.random.Generator, fonts: list[Path]) -> Image.Image:
    plain = [font for font in fonts if "dejavu" in str(font)]
    return _written(str(rng.choice(list(_SYMBOLS))), plain[rng.integers(len(plain))])


def _word(rng: np.random.Generator, fonts: list[Path]) -> Image.Image:
    return _written(str(rng.choice(_WORDS)), fonts[rng.integers(len(fonts))], 60)


# --- crops of images ---------------------------------------------------------------------------------


def _crop(names: tuple[str, ...], rng: np.random.Generator, least: float) -> Image.Image:
    image = _stored(names[rng.integers(len(names))])
    side = int(rng.uniform(least, 1) * min(image.size))
    left = int(rng.integers(0, image.width - side + 1))
    top = int(rng.integers(0, image.height - side + 1))
    return image.crop((left, top, left + side, top + side))


def _stored(name: str) -> Image.Image:
    import skimage  # noqa: PLC0415
    import sklearn  # noqa: PLC0415

    folders = (Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images")
    path = next(folder / name for folder in folders if (folder / name).exists())
    with Image.open(path) as image:
        return image.convert("RGB" if image.mode not in ("L", "1") else "L")


def _photograph(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    return _crop(_PHOTOGRAPHS, rng, 0.3)


def _texture(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    if rng.random() < 0.5:  # noqa: PLR2004
        return _crop(_TEXTURES, rng, 0.15)
    side, period = int(rng.integers(40, 300)), float(rng.uniform(0.05, 0.4))
    down, right = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    angle = rng.uniform(0, np.pi)
    wave = np.sin(2 * np.pi * (np.cos(angle) * right + np.sin(angle) * down) / period)
    if rng.random() < 0.5:  # noqa: PLR2004
        wave = wave * np.sin(2 * np.pi * (np.cos(angle) * down - np.sin(angle) * right) / period)
    return _image(128 + 120 * (np.sign(wave) if rng.random() < 0.5 else wave))  # noqa: PLR2004


def _page(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    return _crop(_PAGES, rng, 0.4)


def _face(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    import skimage  # noqa: PLC0415

    faces = np.load(Path(skimage.__file__).parent / "data" / "lfw_subset.npy")  # 100 faces, then 100 others
    return _image(faces[rng.integers(100)] * 255.0)


# --- drawings ------------------------------------------------------------------------------------------


def _drawing(rng: np.random.Generator, _: list[Path]) -> Image.Image:
    """Draw a house, a face, a star, a tree, a fish, a spiral, a heart, a cube, or a scribble."""
    page = Image.new("L", (240, 240), 255)
    draw, pen = ImageDraw.Draw(page), int(rng.integers(4, 13))
    for line in _DRAWINGS[rng.integers(len(_DRAWINGS))](rng):
        points = np.asarray(line, np.float64) * 80 + 120 + rng.normal(0, 2, (len(line), 2))
        draw.line([tuple(point) for point in points], fill=0, width=pen, joint="curve")
    return page


def _ring(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    return [(x + rx * np.cos(t), y + ry * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)]


def _house(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    roof = rng.uniform(-1, -0.6)
    return [
        [(-0.8, 1), (-0.8, -0.1), (0, roof), (0.8, -0.1), (0.8, 1), (-0.8, 1)],
        [(-0.8, -0.1), (0.8, -0.1)],
        [(-0.2, 1), (-0.2, 0.4), (0.2, 0.4), (0.2, 1)],
    ]


def _smiley(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    mouth = [(0.5 * np.cos(t), 0.2 + 0.4 * np.sin(t)) for t in np.linspace(0.2, np.pi - 0.2, 12)]
    return [
        _ring(0, 0, 1, rng.uniform(0.8, 1)),
        _ring(-0.35, -0.3, 0.1, 0.1),
        _ring(0.35, -0.3, 0.1, 0.1),
        mouth,
    ]


def _star(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    arms, turn = int(rng.choice([5, 7])), rng.uniform(0, 1)
    angles = [turn + 2 * np.pi * 2 * i / arms for i in range(arms + 1)]
    return [[(np.cos(a), np.sin(a)) for a in angles]]


def _tree(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    lines = [[(0.0, 1.0), (0.0, -1.0)]]
    lines += [
        [(0.0, y), (side * 0.7, y - rng.uniform(0.2, 0.5))] for y in (0.5, 0.0, -0.4) for side in (-1, 1)
    ]
    return lines


def _fish(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    tail = rng.uniform(0.3, 0.6)
    return [
        _ring(-0.2, 0, 0.8, 0.45),
        [(0.55, 0), (1.0, -tail), (1.0, tail), (0.55, 0)],
        _ring(-0.6, -0.1, 0.07, 0.07),
    ]


def _spiral(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    turns = rng.uniform(2.5, 4)
    return [
        [
            (t * np.cos(2 * np.pi * turns * t), t * np.sin(2 * np.pi * turns * t))
            for t in np.linspace(0.05, 1, 80)
        ]
    ]


def _heart(_: np.random.Generator) -> list[list[tuple[float, float]]]:
    return [
        [
            (np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16)
            for t in np.linspace(0, 2 * np.pi, 60)
        ]
    ]


def _cube(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    d = rng.uniform(0.3, 0.5)
    front = [(-0.9, -0.3), (0.4, -0.3), (0.4, 0.9), (-0.9, 0.9), (-0.9, -0.3)]
    back = [(x + d, y - d) for x, y in front]
    return [front, back, *([a, b] for a, b in zip(front, back, strict=True))]


def _scribble(rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    return [[tuple(point) for point in rng.uniform(-1, 1, (int(rng.integers(8, 16)), 2))]]


_DRAWINGS: tuple[Callable[[np.random.Generator], list[list[tuple[float, float]]]], ...] = (
    _house,
    _smiley,
    _star,
    _tree,
    _fish,
    _spiral,
    _heart,
    _cube,
    _scribble,
)


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


GROUPS: dict[str, Callable[[np.random.Generator, list[Path]], Image.Image]] = {
    "blank pages": _blank,
    "noise": _noise,
    "letters": _letter,
    "symbols": _symbol,
    "words": _word,
    "photographs": _photograph,
    "faces": _face,
    "textures": _texture,
    "printed pages": _page,
    "drawings": _drawing,
}
