"""The bound L_I that InfoGAN maximises, measured on the exported graphs.

arXiv:1606.03657, equation 5: L_I = E[log Q(c|x)] + H(c), for latents sampled from the prior and x = G(z, c),
in nats. docs/explanation/objective.md derives it. It is at most log k for k categories, unbounded above for a
continuous code, and -0.18 for a continuous code that has no effect on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from infogan_tool.export.evaluation.metrics.calibration import safe_log

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeInformation:
    """The bound of one code."""

    lower_bound_nats: float
    """L_I: mean log Q(c|x) plus H(c)."""
    entropy_nats: float
    """H(c) of the prior."""
    standard_error_nats: float
    """Standard error of the mean over the samples."""


def categorical_log_likelihood(
    probabilities: NDArray[np.floating], categories: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return log Q(c|x) ``(N,)`` of the sampled categories ``(N,)``, from probabilities ``(N, k)``."""
    return safe_log(probabilities[np.arange(len(categories)), categories])


def gaussian_log_likelihood(
    values: NDArray[np.floating], mean: NDArray[np.floating], std: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return log N(c; mean, std**2) ``(N,)`` of the sampled continuous codes ``(N,)``."""
    logs: NDArray[np.float64] = norm.logpdf(np.asarray(values, np.float64), loc=mean, scale=std)
    return logs


def information_bound(log_likelihood: NDArray[np.float64], entropy: float) -> CodeInformation:
    """Return L_I of one code from log Q(c|x) ``(N,)``, N at least 2, and the prior entropy H(c) in nats."""
    return CodeInformation(
        lower_bound_nats=float(log_likelihood.mean()) + entropy,
        entropy_nats=entropy,
        standard_error_nats=float(log_likelihood.std(ddof=1) / np.sqrt(len(log_likelihood))),
    )
