"""Estimate the background of an image, and the ink that differs from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Grey = npt.NDArray[np.float32]

_COARSE: Final = 96
"""Longer side of the reduced image on which the background is estimated."""
_SMOOTHED_FROM: Final = 256
"""Images at least this long are smoothed against the grain of paper; their strokes are wider than a pixel."""
_ROUNDS: Final = 6
_INLIER_SIGMAS: Final = 2.5
_LEAST_SIGMA: Final = 1.5
_LEVELS: Final = 256
_LEAST_CONTRAST: Final = 8.0
"""Least difference of ink from the background, of 255."""
_WIDEST_STROKE: Final = 0.2
"""Width of the closing, as a share of the image's longer side."""
_DARKEST_SHADOW: Final = 0.6
"""Least share of the light in a shadow."""
WEAK: Final = 0.37
_STRONG: Final = 0.55
"""Hysteresis thresholds, as shares of the usual ink's strength: next to strong ink, and by itself."""
_FAINT: Final = 0.18
"""Threshold of hairlines, likewise."""
_NOISE_SIGMAS: Final = 4.0
_MAD_TO_SIGMA: Final = 1.4826
_BETWEEN_QUANTILES: Final = 1.26
"""Standard deviations from the 5 % to the 35 % quantile of a normal distribution."""


@dataclass(frozen=True, eq=False, slots=True)
class Ink:
    """The ink of an image."""

    strength: Grey
    """``(H, W)``: 0 is background, 1 is ink of usual strength, stronger ink is above 1."""
    mask: npt.NDArray[np.bool_]
    """``(H, W)``: ink above the weak threshold."""
    strong: npt.NDArray[np.bool_]
    """``(H, W)``: ink above the strong threshold."""
    faint: npt.NDArray[np.bool_]
    """``(H, W)``: ink above the threshold of hairlines."""


def find_inks(image: Image.Image) -> Iterator[Ink]:
    """Find the ink in an image of mode L or RGB.

    Yields:
        The ink that is darker than the background and the ink that is lighter, the likelier first. An image
        of background alone yields nothing.
    """
    grey = np.asarray(_best_channel(image), np.float32)
    if max(grey.shape) >= _SMOOTHED_FROM:
        grey = _blurred(grey, 0.8)
    background, is_background = _fit_background(grey)
    difference = grey - background
    sigma = _robust_std(difference[is_background])
    darker_first = _is_darker(difference, sigma)
    for darker in (darker_first, not darker_first):
        if darker and max(grey.shape) >= _COARSE:
            ink = _threshold(*_centre_noise(_with_shadows(grey, background) - grey))
        else:
            ink = _threshold(-difference if darker else difference, sigma)
        if ink is not None:
            yield ink


def _threshold(difference: Grey, sigma: float) -> Ink | None:
    """Return the ink in a difference from the background, whose standard deviation is ``sigma``."""
    floor = max(_NOISE_SIGMAS * sigma, _LEAST_CONTRAST)
    beyond = difference[difference > floor].astype(np.float64)
    if not beyond.size:
        return None
    # The second is a weighted mean, so that strong ink outweighs faint lines that cover more pixels.
    usual = max(float(np.quantile(beyond, 0.75)), float((beyond**3).sum() / (beyond**2).sum()))
    faint, weak = (max(share * usual, 0.75 * floor) for share in (_FAINT, WEAK))
    strong = max(_STRONG * usual, floor)
    return Ink(difference / np.float32(usual), difference > weak, difference > strong, difference > faint)


# --- grey ----------------------------------------------------------------------------------------------


def _best_channel(image: Image.Image) -> Image.Image:
    """Return luminance, or the colour channel in which ink and background differ clearly more."""
    luminance = image.convert("L")
    if image.mode == "L":
        return luminance
    small = image.resize((_COARSE, _COARSE), Image.Resampling.BOX)
    channels = [luminance, *image.split()]
    samples = [small.convert("L"), *small.split()]
    spread = [_otsu_variance(np.asarray(sample)) for sample in samples]
    best = int(np.argmax(spread))
    return channels[best] if spread[best] > 1.5 * spread[0] else luminance


def _otsu_variance(values: npt.NDArray[np.uint8]) -> float:
    """Return the greatest variance between two classes that a threshold can make (Otsu's criterion)."""
    counts = np.bincount(values.ravel(), minlength=_LEVELS).astype(np.float64)
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * np.arange(_LEVELS))
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
        variance = below * above * gap**2
    return float(np.nan_to_num(variance).max()) / values.size**2


# --- background ----------------------------------------------------------------------------------------


def _fit_background(grey: Grey) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """Return the background's brightness in every pixel, and a mask of the pixels without ink.

    It is a quadratic surface, fitted robustly: first to the border of the image, then repeatedly to all
    pixels near the surface.
    """
    height, width = grey.shape
    coarse = _coarse(Image.fromarray(grey))
    basis = _surface(*coarse.shape).reshape(-1, 6)
    values = coarse.ravel()
    border = _border(*coarse.shape).ravel()
    middle = float(np.median(values[border]))
    used = border & (
        np.abs(values - middle) <= _INLIER_SIGMAS * max(_robust_std(values[border]), _LEAST_SIGMA)
    )
    for _ in range(_ROUNDS):
        weights = _fit_weights(basis[used], values[used])
        difference = values - basis @ weights
        used = np.abs(difference) < _INLIER_SIGMAS * max(_robust_std(difference[used]), _LEAST_SIGMA)
    background: Grey = (_surface(height, width) @ weights).astype(np.float32)
    mask = Image.fromarray(used.reshape(coarse.shape)).resize((width, height), Image.Resampling.NEAREST)
    return background, np.asarray(mask, bool)


def _robust_std(differences: Grey) -> float:
    """Return a robust standard deviation, from the median absolute deviation."""
    return _MAD_TO_SIGMA * float(np.median(np.abs(differences - np.median(differences))))


def _centre_noise(difference: Grey) -> tuple[Grey, float]:
    """Return the difference with the background at about 0, and the standard deviation of its noise.

    Most pixels are background, and ink is on one side only, so the other side of the distribution is noise.
    """
    lowest, low = (float(q) for q in np.quantile(difference, (0.05, 0.35)))
    return difference - np.float32(low), (low - lowest) / _BETWEEN_QUANTILES


def _with_shadows(grey: Grey, background: Grey) -> Grey:
    """Return the brightness of a light background with its shadows, whose edges no smooth surface follows.

    A morphological closing, wider than a stroke, removes dark strokes and keeps shadows. Where the result is
    darker than any shadow, it is the inside of a very broad stroke, and the surface is used.
    """
    height, width = grey.shape
    coarse = _coarse(Image.fromarray(grey))
    reach = int(_WIDEST_STROKE * max(coarse.shape)) | 1
    # Padded, so that a shadow at the edge of the image is closed like any other.
    wide = np.pad(np.clip(np.rint(coarse), 0, 255).astype(np.uint8), reach, mode="edge")
    closed = Image.fromarray(wide)
    for how in (ImageFilter.MaxFilter, ImageFilter.MinFilter):
        closed = _filtered(closed, how, reach)
    closed = closed.crop((reach, reach, closed.width - reach, closed.height - reach))
    smooth = closed.filter(ImageFilter.GaussianBlur(1)).resize((width, height), Image.Resampling.BICUBIC)
    shade = np.asarray(smooth, np.float32)
    return np.where(shade < _DARKEST_SHADOW * background, background, shade)


def _filtered(
    image: Image.Image, how: type[ImageFilter.MaxFilter | ImageFilter.MinFilter], reach: int
) -> Image.Image:
    # Several small windows equal one large window, and are faster.
    while reach > 1:
        size = min(reach, 5)
        image = image.filter(how(size))
        reach -= size - 1
    return image


def _coarse(image: Image.Image) -> Grey:
    scale = min(1.0, _COARSE / max(image.size))
    # At least three rows and columns, if there are as many, because a quadratic surface needs them.
    width, height = (max(min(3, side), round(side * scale)) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32)


def _fit_weights(basis: Grey, values: Grey) -> Grey:
    # A weak ridge, for images that do not determine the surface, such as one of a single row.
    gram = basis.T @ basis + 1e-3 * np.eye(basis.shape[1], dtype=np.float32)
    solved: Grey = np.linalg.solve(gram, basis.T @ values).astype(np.float32)
    return solved


def _surface(height: int, width: int) -> Grey:
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    ones = np.ones((height, width), np.float32)
    terms = (ones, down * ones, right * ones, down * down * ones, down * right, right * right * ones)
    return np.stack(terms, axis=-1)


def _border(height: int, width: int) -> npt.NDArray[np.bool_]:
    edge = max(1, min(height, width) // 20)
    border = np.ones((height, width), bool)
    border[edge : height - edge, edge : width - edge] = False
    return border


def _is_darker(difference: Grey, sigma: float) -> bool:
    """Return whether the ink is darker than the background on the whole."""
    coarse = _coarse(Image.fromarray(difference)).astype(np.float64)
    outliers = np.abs(coarse) > max(3 * sigma, 2.0)
    return float((coarse[outliers] ** 3).sum()) < 0


def _blurred(grey: Grey, radius: float) -> Grey:
    image = Image.fromarray(np.rint(grey).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32)
