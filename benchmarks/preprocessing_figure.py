"""Make docs/images/preprocessing.png: images from outside of MNIST, each above its preprocessed form.

python benchmarks/preprocessing_figure.py docs/images/preprocessing.png [BUNDLE]
"""

# ruff: noqa: E501 - a stroke is a line, and so is an image

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from photographs import photograph
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from infogan_tool.runtime import load_bundle, load_image
from infogan_tool.train.data import load_test_images

TILE = 140
GAP = 8
CAPTION = 26
SMOOTH = 4
STROKES = {
    "2": [[(0.2, 0.3), (0.3, 0.12), (0.55, 0.05), (0.78, 0.2), (0.72, 0.45), (0.45, 0.7), (0.18, 0.95), (0.85, 0.93)]],
    "3": [[(0.2, 0.12), (0.5, 0.04), (0.78, 0.2), (0.65, 0.42), (0.4, 0.48), (0.7, 0.55), (0.82, 0.75), (0.6, 0.95), (0.2, 0.9)]],
    "4": [[(0.6, 0.05), (0.15, 0.62), (0.88, 0.6)], [(0.66, 0.35), (0.62, 0.97)]],
    "5": [[(0.3, 0.08), (0.26, 0.45), (0.55, 0.42), (0.8, 0.62), (0.7, 0.88), (0.4, 0.96), (0.15, 0.88)], [(0.3, 0.08), (0.8, 0.06)]],
    "6": [[(0.7, 0.05), (0.4, 0.25), (0.22, 0.6), (0.3, 0.9), (0.6, 0.96), (0.78, 0.78), (0.65, 0.58), (0.4, 0.58), (0.24, 0.72)]],
    "7": [[(0.15, 0.1), (0.82, 0.08), (0.6, 0.5), (0.42, 0.97)]],
    "8": [[(0.72, 0.2), (0.5, 0.06), (0.28, 0.2), (0.42, 0.42), (0.7, 0.62), (0.74, 0.85), (0.5, 0.96), (0.26, 0.84), (0.32, 0.6), (0.62, 0.4), (0.72, 0.2)]],
    "9": [[(0.75, 0.25), (0.5, 0.06), (0.26, 0.22), (0.34, 0.44), (0.6, 0.44), (0.75, 0.25), (0.72, 0.6), (0.6, 0.96)]],
}  # fmt: skip


def draw_digit(
    digit: str,
    *,
    size: tuple[int, int],
    place: tuple[float, float, float],
    width: float,
    ink: tuple[int, ...],
    ground: tuple[int, ...],
    mode: str = "RGB",
) -> Image.Image:
    """Draw a digit with a round pen: ``place`` is left, top and height, ``width`` the pen's, in pixels."""
    page = Image.new(mode, (size[0] * SMOOTH, size[1] * SMOOTH), ground)
    draw, pen = ImageDraw.Draw(page), width * SMOOTH
    left, top, height = (n * SMOOTH for n in place)
    for stroke in STROKES[digit]:
        points = [(left + 0.8 * height * x, top + height * y) for x, y in _curve(stroke)]
        draw.line(points, fill=ink, width=max(1, round(pen)), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=ink)
    return page.resize(size, Image.Resampling.BOX)


def _curve(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a smooth line through points (Catmull and Rom's spline)."""
    p = np.array([points[0], *points, points[-1]])
    curve = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        t = np.linspace(0, 1, 12)[:, None]
        curve += list(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return [(float(x), float(y)) for x, y in curve]


def phone(image: Image.Image, seed: int) -> bytes:
    """Light a drawing unevenly, with a shadow across, add grain, blur and JPEG."""
    rng = np.random.default_rng(seed)
    scene = np.asarray(image.convert("RGB"), np.float64)
    down, right = np.mgrid[0 : 1 : scene.shape[0] * 1j, 0 : 1 : scene.shape[1] * 1j]
    light = 1 - 0.35 * right - 0.1 * down
    light *= 1 - 0.3 / (1 + np.exp(-(down + 0.5 * right - 0.85) / 0.02))
    scene = scene * light[..., None] + rng.normal(0, 5, scene.shape)
    file = io.BytesIO()
    blurred = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
    blurred.save(file, format="JPEG", quality=70)
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    """Return a PNG file's content."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def ruled(image: Image.Image) -> Image.Image:
    """Rule a page with pale blue lines."""
    draw = ImageDraw.Draw(image)
    for y in range(30, image.height, 45):
        draw.line([(0, y), (image.width, y)], fill=(190, 205, 235), width=2)
    return image


def images() -> list[tuple[str, bytes]]:
    """Return what people have, with captions."""
    white, black = (255, 255, 255), (0, 0, 0)
    page = {"size": (800, 600), "ground": (238, 234, 224)}
    test = load_test_images("mnist", size=28, channels=1)
    assert test is not None
    native = test.images[61, 0].numpy()
    specks = draw_digit(
        "8", size=(400, 400), place=(130, 70, 240), width=12, ink=black, ground=(250, 250, 245)
    )
    ImageDraw.Draw(specks).ellipse((40, 330, 48, 338), fill=black)
    ImageDraw.Draw(specks).ellipse((350, 50, 355, 55), fill=(90, 90, 90))
    sixteen = np.asarray(
        draw_digit("3", size=(300, 300), place=(80, 40, 220), width=22, ink=(255,), ground=(20,), mode="L")
    )
    return [
        ("as MNIST has it", png(Image.fromarray(native))),
        ("the same, inverted", png(Image.fromarray(255 - native))),
        (
            "paint, 1 px pen",
            png(draw_digit("5", size=(400, 400), place=(60, 40, 320), width=1.2, ink=black, ground=white)),
        ),
        (
            "paint, thick brush",
            png(draw_digit("4", size=(300, 300), place=(70, 50, 200), width=34, ink=black, ground=white)),
        ),
        (
            "red on yellow",
            png(
                draw_digit(
                    "2",
                    size=(320, 240),
                    place=(110, 30, 170),
                    width=14,
                    ink=(225, 60, 40),
                    ground=(255, 235, 90),
                )
            ),
        ),
        (
            "yellow, transparent",
            png(
                draw_digit(
                    "7",
                    size=(300, 300),
                    place=(80, 40, 220),
                    width=18,
                    ink=(250, 220, 0, 255),
                    ground=(0, 0, 0, 0),
                    mode="RGBA",
                )
            ),
        ),
        ("16 bits, light on dark", png(Image.fromarray(sixteen.astype(np.uint16) * 200))),
        (
            "pen, phone, shadow",
            phone(draw_digit("9", **page, place=(430, 250, 220), width=5, ink=(30, 40, 110)), 1),
        ),
        (
            "ruled paper, specks",
            phone(ruled(draw_digit("6", **page, place=(200, 160, 260), width=9, ink=(40, 40, 45))), 2),
        ),
        ("dust", png(specks)),
        ("chalk", photograph(test.images[18, 0].numpy(), np.random.default_rng(16))),
        ("photograph", photograph(test.images[9, 0].numpy(), np.random.default_rng(7))),
    ]


def main() -> None:
    """Write the figure."""
    image = load_bundle(sys.argv[2] if len(sys.argv) > 2 else None, device="cpu").image  # noqa: PLR2004
    shown = images()
    columns = (len(shown) + 1) // 2
    height = CAPTION + 2 * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (columns * (TILE + GAP) + GAP, 2 * height), (255, 255, 255))
    face, draw = ImageFont.load_default(13), ImageDraw.Draw(sheet)
    for index, (caption, content) in enumerate(shown):
        left, top = GAP + index % columns * (TILE + GAP), index // columns * height
        draw.text((left, top + 8), caption, fill=(0, 0, 0), font=face)
        with Image.open(io.BytesIO(content)) as opened:
            before = _shown(opened)
        seen = np.rint(load_image(content, image)[0] * 255).astype(np.uint8)
        sheet.paste((205, 205, 205), (left, top + CAPTION, left + TILE, top + CAPTION + TILE))
        sheet.paste(before, (left + (TILE - before.width) // 2, top + CAPTION + (TILE - before.height) // 2))
        sheet.paste(
            Image.fromarray(seen).resize((TILE, TILE), Image.Resampling.NEAREST),
            (left, top + CAPTION + TILE + GAP),
        )
    sheet.save(Path(sys.argv[1]), optimize=True)


def _shown(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "RGBA":
        checks = (np.indices((image.height, image.width)) // 20).sum(0) % 2 * 50 + 200
        ground = Image.fromarray(checks.astype(np.uint8)).convert("RGBA")
        image = Image.alpha_composite(ground, image)
    scale = TILE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, how)


if __name__ == "__main__":
    main()
