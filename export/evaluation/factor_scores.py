"""All scores of known factors, for the codes of a bundle's encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infogan_tool.export.evaluation.metrics.correlation import pearson
from infogan_tool.export.evaluation.metrics.factor_information import (
    information_matrix,
    modularity,
    mutual_information_gap,
)
from infogan_tool.export.evaluation.metrics.factor_prediction import Dci, dci, explicitness, sap
from infogan_tool.export.evaluation.metrics.fixed_factor import beta_vae, factor_vae
from infogan_tool.export.evaluation.metrics.infomec import InfoMec, infomec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from infogan_tool.runtime.bundle.reading import Posterior
    from infogan_tool.runtime.latents.spec import LatentSpec
    from infogan_tool.train.data import Factors


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorRow:
    """One factor, and which code encodes it."""

    levels: int
    """Number of its levels."""
    code: str
    """The code with the most information about it."""
    information: float
    """That information, as a share of the factor's entropy."""
    correlation: float | None
    """Pearson correlation of that code with the levels; None: the code is categorical, or the levels are not
    numbers."""
    runner_up: str | None
    """The code with the second most; None if there is one code only."""
    runner_up_information: float
    """The share of that code."""
    information_by_code: Mapping[str, float]
    """The share of every code."""
    correlation_by_code: Mapping[str, float]
    """The correlation of every continuous code; empty if the levels are not numbers."""
    votes: Mapping[str, int]
    """Number of the groups of FactorVAE with this factor, by the code that varies least in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorScores:
    """Scores of codes of real images. docs/reference/evaluation.md has the protocol of each."""

    images: int
    """Number of images."""
    factor_vae: float
    """FactorVAE score."""
    beta_vae: float
    """BetaVAE score."""
    mig: float
    """Mutual information gap."""
    sap: float
    """SAP score."""
    dci: Dci
    """DCI, by random forests."""
    modularity: float
    """Modularity of Ridgeway and Mozer."""
    explicitness: float
    """Explicitness of Ridgeway and Mozer, from 0.5."""
    infomec: InfoMec
    """InfoMEC."""
    factors: Mapping[str, FactorRow]
    """By factor."""


def encoder_codes(latent: LatentSpec, posterior: Posterior) -> dict[str, NDArray[np.floating]]:
    """Return the codes of encoded images by name: probabilities ``(N, k)``, or means ``(N,)``."""
    codes: dict[str, NDArray[np.floating]] = {
        name: posterior.probabilities[column] for column, name in enumerate(latent.categorical_names)
    }
    means = posterior.style_mean
    return codes | {name: means[:, column] for column, name in enumerate(latent.continuous_names)}


def score_factors(codes: Mapping[str, NDArray[np.floating]], factors: Factors, *, seed: int) -> FactorScores:
    """Compute every score of codes against known factors.

    Args:
        codes: At least one, by name, each ``(N,)`` or ``(N, k)`` as :func:`encoder_codes` returns them.
        factors: The factors of these N images.
        seed: Of groups, choices of images and models. Each score has random numbers of its own.
    """
    arrays, names, values = list(codes.values()), list(codes), factors.values.numpy()
    rngs = np.random.default_rng(seed).spawn(6)
    votes = factor_vae(arrays, values, rngs[0])
    gap = mutual_information_gap(arrays, values)
    shares = information_matrix(arrays, values)
    return FactorScores(
        images=len(values),
        factor_vae=votes.score,
        beta_vae=beta_vae(arrays, values, rngs[1]),
        mig=gap.score,
        sap=sap(arrays, values, rngs[2], ordered=factors.ordered),
        dci=dci(arrays, values, rngs[3], ordered=factors.ordered),
        modularity=modularity(arrays, values),
        explicitness=explicitness(arrays, values, rngs[4]),
        infomec=infomec(arrays, values, rngs[5]),
        factors={
            name: _row(
                factors.sizes[column],
                names,
                shares[:, column],
                [row[column] for row in votes.votes],
                _correlations(codes, factors, column),
            )
            for column, name in enumerate(factors.names)
        },
    )


def _correlations(
    codes: Mapping[str, NDArray[np.floating]], factors: Factors, column: int
) -> dict[str, float]:
    if not factors.ordered[column]:
        return {}
    levels = np.array(factors.levels[column], np.float64)[factors.values[:, column].numpy()]
    return {name: pearson(code, levels) for name, code in codes.items() if code.ndim == 1}


def _row(
    levels: int,
    names: list[str],
    shares: NDArray[np.float64],
    votes: list[int],
    correlations: Mapping[str, float],
) -> FactorRow:
    best, *others = np.argsort(-shares, kind="stable")
    return FactorRow(
        levels=levels,
        code=names[best],
        information=float(shares[best]),
        correlation=correlations.get(names[best]),
        runner_up=names[others[0]] if others else None,
        runner_up_information=float(shares[others[0]]) if others else 0.0,
        information_by_code=dict(zip(names, shares.tolist(), strict=True)),
        correlation_by_code=correlations,
        votes=dict(zip(names, votes, strict=True)),
    )
