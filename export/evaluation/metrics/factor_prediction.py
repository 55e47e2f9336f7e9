"""Factors predicted from codes: DCI, SAP, explicitness.

``codes`` and ``factors`` are those of :mod:`~infogan_tool.export.evaluation.metrics.factor_information`. A
factor is ordered if its levels are numbers, as a size is and a shape is not; ``ordered`` says so for each. A
categorical code counts with its probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from infogan_tool.export.evaluation.metrics.factor_information import Codes

MAX_IMAGES: Final = 10_000
"""Images that models are fitted and tested on; of more, some are chosen at random."""
_TRAIN: Final = 2 / 3
"""Share of them that models are fitted on."""
_TREES: Final = 100
_DEPTH: Final = 4
_SVM_C: Final = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Dci:
    """Disentanglement, completeness and informativeness, each from 0 to 1."""

    disentanglement: float
    """1 where each code is important for one factor alone."""
    completeness: float
    """1 where each factor has one important code alone."""
    informativeness: float
    """Mean over the factors of how well they are predicted on held-out images: R^2 of ordered factors (0 if
    it is negative), accuracy of others."""


def dci(
    codes: Codes,
    factors: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    ordered: Sequence[bool],
    model: Callable[[bool, int], Any] | None = None,
) -> Dci:
    """Return DCI (Eastwood and Williams, *A framework for the quantitative evaluation of ...*, ICLR 2018).

    The importance of a code for a factor is that of a random forest of 100 trees of depth 4, which predicts
    the factor's level from all codes: a regression for an ordered factor, else a classification. The
    importances of a categorical code's probabilities are added up.

    Args:
        codes: As above.
        factors: As above.
        rng: Choice of images, and the forests' randomness.
        ordered: For each factor.
        model: Makes another model with ``feature_importances_``, from whether the factor is ordered and a
            seed.
    """
    train, test = _split(len(factors), rng)
    values, sizes = np.column_stack(list(codes)), [1 if code.ndim == 1 else code.shape[1] for code in codes]
    starts = np.cumsum([0, *sizes[:-1]])
    importances, scores = [], []
    for factor, is_ordered in zip(factors.T, ordered, strict=True):
        fitted = (model or _forest)(is_ordered, int(rng.integers(2**31)))
        fitted.fit(values[train], factor[train])
        importances.append(np.add.reduceat(np.abs(fitted.feature_importances_), starts))
        scores.append(max(0.0, float(fitted.score(values[test], factor[test]))))
    matrix = np.array(importances).T
    disentanglement, completeness = concentration(matrix)
    return Dci(
        disentanglement=disentanglement, completeness=completeness, informativeness=float(np.mean(scores))
    )


def _forest(is_ordered: bool, seed: int) -> RandomForestRegressor | RandomForestClassifier:
    kind = RandomForestRegressor if is_ordered else RandomForestClassifier
    return kind(n_estimators=_TREES, max_depth=_DEPTH, random_state=seed)


def concentration(importances: NDArray[np.float64]) -> tuple[float, float]:
    """Return disentanglement and completeness of importances ``(number of codes, number of factors)``.

    Each is 1 less the normalised entropy of a code's or a factor's importances, averaged with their sums as
    weights. 0 where nothing has any importance.
    """
    total = importances.sum()
    if total <= 0:
        return 0.0, 0.0
    results = []
    for rows in (importances, importances.T):
        sums, count = rows.sum(axis=1), rows.shape[1]
        shares = rows[sums > 0] / sums[sums > 0, None]
        logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
        purity = 1 + (shares * logs).sum(axis=1) / np.log(count) if count > 1 else np.ones(len(shares))
        results.append(float(np.average(purity, weights=sums[sums > 0])))
    return results[0], results[1]


def sap(
    codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator, *, ordered: Sequence[bool]
) -> float:
    """Return SAP (Kumar et al., arXiv:1711.00848, section 3).

    A code alone predicts an ordered factor with the R^2 of a linear regression (for a continuous code the
    squared correlation), and another factor with the accuracy of a linear SVM (C = 0.01, balanced classes) on
    held-out images. For each factor, the score of the best code less that of the runner-up; the mean over
    the factors.
    """
    train, test = _split(len(factors), rng)
    seed = int(rng.integers(2**31))
    scores = np.zeros((max(2, len(codes)), factors.shape[1]))
    for row, code in zip(scores, codes, strict=False):
        values = code.reshape(len(code), -1)
        for column, (factor, is_ordered) in enumerate(zip(factors.T, ordered, strict=True)):
            if is_ordered:
                row[column] = LinearRegression().fit(values, factor).score(values, factor)
            else:
                svm = LinearSVC(C=_SVM_C, class_weight="balanced", random_state=seed)
                row[column] = svm.fit(values[train], factor[train]).score(values[test], factor[test])
    ranked = np.sort(scores, axis=0)
    return float((ranked[-1] - ranked[-2]).mean())


def explicitness(codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator) -> float:
    """Return explicitness (Ridgeway and Mozer, arXiv:1802.05312, section 2).

    Logistic regression on all codes, standardised, gives the probability of each level of a factor. The score
    is the area under the ROC curve of each level against the others on held-out images, averaged over levels
    and then over factors. 0.5 is chance, 1 is perfect. A factor of which the held-out images show one level
    alone tells nothing and counts as chance.
    """
    scores = []
    for levels, truth, probabilities, _ in linear_predictions(codes, factors, rng):
        each = enumerate(truth == level for level in levels)
        areas = [
            roc_auc_score(is_level, probabilities[:, k]) for k, is_level in each if 0 < is_level.mean() < 1
        ]
        scores.append(np.mean(areas) if areas else 0.5)
    return float(np.mean(scores))


def linear_predictions(
    codes: Codes, factors: NDArray[np.int64], rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
    """Predict each factor from all codes by logistic regression, on held-out images.

    Returns:
        For each factor its levels ``(L,)``, the levels of the held-out images ``(n,)``, their predicted
        probabilities ``(n, L)``, and those without any code ``(n, L)``.
    """
    train, test = _split(len(factors), rng)
    values = np.column_stack(list(codes))
    predictions = []
    for factor in factors.T:
        known = np.isin(factor[test], factor[train])  # a rare level may be in one part alone
        rows = test[known]
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        fitted.fit(values[train], factor[train])
        blind = DummyClassifier(strategy="prior").fit(values[train], factor[train])
        predictions.append(
            (
                np.asarray(fitted.classes_),
                factor[rows],
                fitted.predict_proba(values[rows]),
                blind.predict_proba(values[rows]),
            )
        )
    return predictions


def _split(count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the images that models are fitted on and those that they are tested on."""
    order = rng.permutation(count)[:MAX_IMAGES]
    border = round(_TRAIN * len(order))
    return order[:border], order[border:]
