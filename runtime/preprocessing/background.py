"""Ink and paper told apart: in which grey, how the paper is lit, which of the two is lighter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Grey = npt.NDArray[np.float32]

__all__ = ["Ink", "find_inks"]

_COARSE: Final = 96
"""Longer side of the image on which the paper is estimated."""
_SMOOTHED_FROM: Final = 256
"""Images this long are smoothed a little: paper has a grain, and a stroke is wider than a pixel there."""
_ROUNDS: Final = 6
_INLIER_SIGMAS: Final = 2.5
_LEAST_SIGMA: Final = 1.5
_LEVELS: Final = 256
_LEAST_CONTRAST: Final = 8.0
"""Of 255: what is fainter is paper."""
_WIDEST_STROKE: Final = 0.2
"""Part of the image's longer side that the closing spans."""
_DARKEST_SHADOW: Final = 0.6
"""Part of the light that a shadow leaves at least."""
_WEAK: Final = 0.37
_STRONG: Final = 0.55
"""Parts of the usual ink's strength from which ink counts: beside strong ink, and by itself."""
_NOISE_SIGMAS: Final = 4.0
_MAD_TO_SIGMA: Final = 1.4826
_BETWEEN_QUANTILES: Final = 1.26
"""Standard deviations from the 5 % to the 35 % quantile of a normal distribution."""


@dataclass(frozen=True, eq=False, slots=True)
class Ink:
    """What of an image is ink."""

    strength: Grey
    """``(H, W)``: 0 is paper, 1 is ink of usual strength; more where it is stronger."""
    mask: npt.NDArray[np.bool_]
    """Where ink is, by two thresholds: weak ink counts where it hangs together with strong."""
    strong: npt.NDArray[np.bool_]
    """Where it is without doubt."""


def find_inks(image: Image.Image) -> Iterator[Ink]:
    """Find the ink in an image of mode L or RGB.

    Yields:
        What is darker than the paper and what is lighter, the likelier first; what is only paper yields none.
    """
    grey = np.asarray(_most_telling(image), np.float32)
    if max(grey.shape) >= _SMOOTHED_FROM:
        grey = _blurred(grey, 0.8)
    paper, bare = _lit_paper(grey)
    difference = grey - paper
    sigma = _spread(difference[bare])
    darker_first = _darker(difference, sigma)
    for darker in (darker_first, not darker_first):
        if darker and max(grey.shape) >= _COARSE:
            ink = _strong_enough(*_above_noise(_shadowed(grey, paper) - grey))
        else:
            ink = _strong_enough(-difference if darker else difference, sigma)
        if ink is not None:
            yield ink


def _strong_enough(difference: Grey, sigma: float) -> Ink | None:
    """Return the ink where a difference from the paper is ink; ``sigma`` is the deviation of bare paper."""
    floor = max(_NOISE_SIGMAS * sigma, _LEAST_CONTRAST)
    beyond = difference[difference > floor].astype(np.float64)
    if not beyond.size:
        return None
    # The second is a mean in which strong ink counts for more than faint lines that cover more of the page.
    usual = max(float(np.quantile(beyond, 0.75)), float((beyond**3).sum() / (beyond**2).sum()))
    weak, strong = max(_WEAK * usual, 0.75 * floor), max(_STRONG * usual, floor)
    return Ink(difference / np.float32(usual), difference > weak, difference > strong)


# --- grey ----------------------------------------------------------------------------------------------


def _most_telling(image: Image.Image) -> Image.Image:
    """Return luminance, or the colour channel in which figure and ground differ clearly more."""
    luminance = image.convert("L")
    if image.mode == "L":
        return luminance
    small = image.resize((_COARSE, _COARSE), Image.Resampling.BOX)
    channels = [luminance, *image.split()]
    samples = [small.convert("L"), *small.split()]
    spread = [_between_classes(np.asarray(sample)) for sample in samples]
    best = int(np.argmax(spread))
    return channels[best] if spread[best] > 1.5 * spread[0] else luminance


def _between_classes(values: npt.NDArray[np.uint8]) -> float:
    """Return the greatest variance between two classes that a threshold can make (Otsu's criterion)."""
    counts = np.bincount(values.ravel(), minlength=_LEVELS).astype(np.float64)
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * np.arange(_LEVELS))
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
        variance = below * above * gap**2
    return float(np.nan_to_num(variance).max()) / values.size**2


# --- paper ---------------------------------------------------------------------------------------------


def _lit_paper(grey: Grey) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """Return the brightness that the paper would have everywhere, and where it is seen to be bare.

    A quadratic surface, fitted robustly: it begins at the border of the image, where most is paper; then
    every pixel that is near the surface takes part.
    """
    height, width = grey.shape
    coarse = _coarse(Image.fromarray(grey))
    basis = _surface(*coarse.shape).reshape(-1, 6)
    values = coarse.ravel()
    ring = _ring(*coarse.shape).ravel()
    middle = float(np.median(values[ring]))
    used = ring & (np.abs(values - middle) <= _INLIER_SIGMAS * max(_spread(values[ring]), _LEAST_SIGMA))
    for _ in range(_ROUNDS):
        weights = _least_squares(basis[used], values[used])
        difference = values - basis @ weights
        used = np.abs(difference) < _INLIER_SIGMAS * max(_spread(difference[used]), _LEAST_SIGMA)
    paper: Grey = (_surface(height, width) @ weights).astype(np.float32)
    bare = Image.fromarray(used.reshape(coarse.shape)).resize((width, height), Image.Resampling.NEAREST)
    return paper, np.asarray(bare, bool)


def _spread(differences: Grey) -> float:
    """Return the standard deviation of most of the differences from 0; a tenth that is ink does no harm."""
    return _MAD_TO_SIGMA * float(np.median(np.abs(differences - np.median(differences))))


def _above_noise(difference: Grey) -> tuple[Grey, float]:
    """Return a difference in which bare paper is about 0, and the deviation of its noise.

    Most of the image is paper, and ink is on one side only: the other side of the distribution is noise.
    """
    lowest, low = (float(q) for q in np.quantile(difference, (0.05, 0.35)))
    return difference - np.float32(low), (low - lowest) / _BETWEEN_QUANTILES


def _shadowed(grey: Grey, paper: Grey) -> Grey:
    """Return the brightness of lighter paper with the shadows on it, whose edges no surface follows.

    A morphological closing, wider than a stroke, takes dark strokes out and leaves shadows in. What it leaves
    that is darker than any shadow is the inside of a very broad stroke: there the surface holds.
    """
    height, width = grey.shape
    coarse = _coarse(Image.fromarray(grey))
    reach = int(_WIDEST_STROKE * max(coarse.shape)) | 1
    # With room around: at its edge, too, a closing must find the darkness that goes on beyond.
    wide = np.pad(np.clip(np.rint(coarse), 0, 255).astype(np.uint8), reach, mode="edge")
    closed = Image.fromarray(wide)
    for how in (ImageFilter.MaxFilter, ImageFilter.MinFilter):
        closed = _filtered(closed, how, reach)
    closed = closed.crop((reach, reach, closed.width - reach, closed.height - reach))
    smooth = closed.filter(ImageFilter.GaussianBlur(1)).resize((width, height), Image.Resampling.BICUBIC)
    shade = np.asarray(smooth, np.float32)
    return np.where(shade < _DARKEST_SHADOW * paper, paper, shade)


def _filtered(
    image: Image.Image, how: type[ImageFilter.MaxFilter | ImageFilter.MinFilter], reach: int
) -> Image.Image:
    # Small windows, one after the other, are one large window, and faster.
    while reach > 1:
        size = min(reach, 5)
        image = image.filter(how(size))
        reach -= size - 1
    return image


def _coarse(image: Image.Image) -> Grey:
    scale = min(1.0, _COARSE / max(image.size))
    # Three rows and columns at least, where there are: fewer say nothing of a curve between them.
    width, height = (max(min(3, side), round(side * scale)) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32)


def _least_squares(basis: Grey, values: Grey) -> Grey:
    # A ridge so weak that it decides only what the pixels leave open, as in an image of one row.
    gram = basis.T @ basis + 1e-3 * np.eye(basis.shape[1], dtype=np.float32)
    solved: Grey = np.linalg.solve(gram, basis.T @ values).astype(np.float32)
    return solved


def _surface(height: int, width: int) -> Grey:
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    ones = np.ones((height, width), np.float32)
    terms = (ones, down * ones, right * ones, down * down * ones, down * right, right * right * ones)
    return np.stack(terms, axis=-1)


def _ring(height: int, width: int) -> npt.NDArray[np.bool_]:
    edge = max(1, min(height, width) // 20)
    ring = np.ones((height, width), bool)
    ring[edge : height - edge, edge : width - edge] = False
    return ring


def _darker(difference: Grey, sigma: float) -> bool:
    """Say whether what is not paper is darker than it, all in all."""
    coarse = _coarse(Image.fromarray(difference)).astype(np.float64)
    outliers = np.abs(coarse) > max(3 * sigma, 2.0)
    return float((coarse[outliers] ** 3).sum()) < 0


def _blurred(grey: Grey, radius: float) -> Grey:
    image = Image.fromarray(np.rint(grey).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32)
