"""Render small images of strokes as photographs of pen on paper."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    import numpy.typing as npt

    Grey = npt.NDArray[np.float64]

__all__ = ["photograph"]

_ANGLE = 15.0
_INKS = ((20, 20, 25), (25, 35, 110), (60, 60, 65), (140, 25, 30), (15, 70, 40))
_PAPERS = ((250, 248, 240), (235, 225, 200), (215, 222, 230), (200, 200, 198), (245, 235, 150))


def photograph(strokes: npt.NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """Render strokes ``(S, S)``, light on black, as a photograph; return a JPEG file's content.

    Scaled to a frame of 160 to 480 pixels of which the strokes' square takes 40 to 90 %, turned by up to 15
    degrees, off-centre; dark ink on paper of several colours, or (one in four) light chalk on a dark board;
    grain, uneven light (a gradient, vignetting, one in three with the edge of a shadow), blur, sensor noise,
    JPEG of quality 40 to 90.
    """
    height, width = (int(n) for n in rng.integers(160, 481, 2))
    coverage = _laid(strokes, height, width, rng)[..., None]
    ink, paper = _colours(rng)
    scene = paper * (1 - coverage) + ink * coverage
    scene = scene * (1 + _grain(height, width, rng))[..., None]
    scene = scene * _light(height, width, rng)[..., None]
    image = _eight_bits(scene).filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2.5))))
    noisy = np.asarray(image, np.float64) + rng.normal(0, rng.uniform(0, 5), scene.shape)
    file = io.BytesIO()
    _eight_bits(noisy).save(file, format="JPEG", quality=int(rng.integers(40, 91)))
    return file.getvalue()


def _laid(strokes: npt.NDArray[np.uint8], height: int, width: int, rng: np.random.Generator) -> Grey:
    """Return how much of each pixel of the frame is ink, 0 to 1."""
    side = int(rng.uniform(0.4, 0.9) * min(height, width))
    digit = Image.fromarray(strokes).resize((side, side), Image.Resampling.BICUBIC)
    digit = digit.rotate(float(rng.uniform(-_ANGLE, _ANGLE)), Image.Resampling.BICUBIC)
    frame = Image.new("L", (width, height), 0)
    frame.paste(digit, (int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))))
    coverage = np.asarray(frame, np.float64) / 255
    if side <= len(strokes):
        return coverage  # of a line thinner than a pixel, the share that it covers
    # A pen's edge is sharp however far the small image was enlarged.
    return np.clip((coverage - 0.5) * 2.5 + 0.5, 0, 1)


def _colours(rng: np.random.Generator) -> tuple[Grey, Grey]:
    ink, paper = (np.array(table[rng.integers(len(table))], np.float64) for table in (_INKS, _PAPERS))
    if rng.random() < 1 / 4:
        return 0.9 * paper, ink + rng.uniform(0, 25)
    return ink, paper


def _grain(height: int, width: int, rng: np.random.Generator) -> Grey:
    """Return the paper's texture: fine grain and coarse blotches, some hundredths of its brightness."""
    fine = rng.normal(0, 1, (height, width))
    coarse = np.asarray(
        Image.fromarray(rng.normal(0, 1, (height // 12 + 2, width // 12 + 2)).astype(np.float32)).resize(
            (width, height), Image.Resampling.BICUBIC
        ),
        np.float64,
    )
    return rng.uniform(0.005, 0.03) * fine + rng.uniform(0.005, 0.02) * coarse


def _light(height: int, width: int, rng: np.random.Generator) -> Grey:
    down, right = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    light: Grey = 1 - fall * (np.cos(angle) * right + np.sin(angle) * down + 1.42) / 2.84
    light -= rng.uniform(0, 0.15) * (down**2 + right**2)
    if rng.random() < 1 / 3:
        angle, place, depth = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.3)
        beyond = np.cos(angle) * right + np.sin(angle) * down - place
        light *= 1 - depth / (1 + np.exp(-beyond / rng.uniform(0.02, 0.1)))
    return light * rng.uniform(0.75, 1.0)


def _eight_bits(scene: Grey) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(scene), 0, 255).astype(np.uint8))
