"""The scores of known factors agree with those of package disent; ``make_disent_scores.py`` wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factor_codes import continuous_codes, factors
from sklearn.ensemble import GradientBoostingClassifier

from infogan_tool.export.evaluation.metrics.factor_information import mutual_information_gap
from infogan_tool.export.evaluation.metrics.factor_prediction import concentration, dci, sap
from infogan_tool.export.evaluation.metrics.fixed_factor import factor_vae

DISENT: dict[str, Any] = json.loads(Path(__file__).with_name("disent_scores.json").read_text("utf-8"))
LEVELS = factors()
UNORDERED = (False,) * 4


class InOrder(np.random.Generator):
    """Chooses images in their order, as the script does."""

    def permutation(self, count: int) -> np.ndarray:  # type: ignore[override]
        return np.arange(count)


def in_order() -> np.random.Generator:
    return InOrder(np.random.PCG64(0))


@pytest.mark.parametrize("kind", ["perfect", "duplicated", "rotated", "useless"])
def test_gap_sap_and_votes(kind: str) -> None:
    values = list(continuous_codes(kind, LEVELS).T)
    theirs = DISENT[kind]
    assert mutual_information_gap(values, LEVELS).score == pytest.approx(theirs["mig"], abs=1e-9)
    # The SVM's solver stops at a tolerance, and the two choose other groups.
    assert sap(values, LEVELS, in_order(), ordered=UNORDERED) == pytest.approx(theirs["sap"], abs=0.003)
    votes = factor_vae(values, LEVELS, np.random.default_rng(0), groups=4_000, group_size=64)
    # Two rotated codes vote for one factor about equally often, and errors of disent's variances, which are
    # estimated from 10,000 images, decide between them.
    tolerance = 0.06 if kind == "rotated" else 0.025
    assert votes.score == pytest.approx(theirs["factor_vae"], abs=tolerance)


def test_dci_with_the_same_model() -> None:
    found = dci(
        list(continuous_codes("rotated", LEVELS)[:900].T),
        LEVELS[:900],
        in_order(),
        ordered=UNORDERED,
        model=lambda _, seed: GradientBoostingClassifier(random_state=seed),
    )
    theirs = DISENT["dci"]
    assert found.disentanglement == pytest.approx(theirs["disentanglement"], abs=0.01)
    assert found.completeness == pytest.approx(theirs["completeness"], abs=0.01)
    assert found.informativeness == pytest.approx(theirs["informativeness_test"], abs=0.02)


def test_concentration() -> None:
    matrix = np.random.default_rng(4).random((5, 3)) ** 4
    assert concentration(matrix) == pytest.approx(tuple(DISENT["concentration"]), abs=1e-9)
