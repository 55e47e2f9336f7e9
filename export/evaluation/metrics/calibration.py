"""Calibration of the encoder's probabilities.

Expected calibration error as in Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*,
arXiv:1706.04599, equation 3: the confidences are sorted into 15 bins of equal width, bin m being ((m - 1) /
15, m / 15]; in each, the accuracy is compared with the mean confidence, and the absolute
differences are averaged, weighted by the number of images. Temperature as in its equation 9: softmax(log q
/ T).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS: Final = 15
MAX_TEMPERATURE: Final = 20.0
"""Temperatures from 1/20 to 20 are searched; a result at an end means that no minimum lies in between."""
_SMALLEST: Final = float(np.finfo(np.float32).tiny)


def safe_log(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the log of probabilities; those below 1.2e-38, the smallest normal float32, count as it."""
    logs: NDArray[np.float64] = np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))
    return logs


def expected_calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Return the ECE of N predictions, from 0 to 1.

    Args:
        confidence: ``(N,)``, the probability of the predicted category; N is at least 1.
        right: ``(N,)``, whether the prediction is correct.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    # |B| / N * |accuracy - confidence| of a bin is |sum of right - sum of confidence| / N.
    gaps = np.bincount(bins, weights=right - np.asarray(confidence, np.float64), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def temper(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return softmax(log q / T) of probabilities ``(N, k)``; T above 1 lowers the confidence."""
    tempered: NDArray[np.float64] = softmax(safe_log(probabilities) / temperature, axis=1)
    return tempered


def category_of_label(label_of: Sequence[int | None], num_labels: int) -> NDArray[np.int64]:
    """Invert a matching: category of each label ``(num_labels,)``, -1 for a label without a category."""
    category = np.full(num_labels, -1, np.int64)
    for index, label in enumerate(label_of):
        if label is not None:
            category[label] = index
    return category


def best_temperature(probabilities: NDArray[np.floating], wanted: NDArray[np.int64]) -> float | None:
    """Return the temperature that minimises the mean of -log q(wanted category).

    Args:
        probabilities: ``(N, k)``.
        wanted: ``(N,)``, the category matched to each image's label; images with -1, whose label has no
            category, are ignored.

    Returns:
        From 1 / 20 to 20, or None where no image is left.
    """
    known = wanted >= 0
    if not known.any():
        return None
    logs, rows, right = safe_log(probabilities[known]), np.arange(int(known.sum())), wanted[known]

    def nll(log_temperature: float) -> float:
        return -float(log_softmax(logs / math.exp(log_temperature), axis=1)[rows, right].mean())

    end = math.log(MAX_TEMPERATURE)
    return math.exp(float(minimize_scalar(nll, bounds=(-end, end), method="bounded").x))


def share_below(confidence: NDArray[np.floating], threshold: float) -> float:
    """Return the share of N confidences below ``threshold``."""
    return float((confidence < threshold).mean())
