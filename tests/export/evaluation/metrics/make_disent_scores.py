"""Write ``disent_scores.json``: scores of small codes by package ``disent``, an independent implementation.

It needs Python 3.12 and nothing of this project:

    pip install disent==0.9.3
    python tests/export/evaluation/metrics/make_disent_scores.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from disent.metrics._dci import _completeness, _compute_dci, _disentanglement
from disent.metrics._factor_vae import metric_factor_vae
from disent.metrics._mig import _compute_mig
from disent.metrics._sap import _compute_sap
from factor_codes import SIZES, continuous_codes, factors

KINDS = ("perfect", "duplicated", "rotated", "useless")
TRAIN = 4608
"""Two thirds of the images."""
DCI_IMAGES = 900


def factor_vae(kind: str) -> float:
    seeds = iter(range(10**9))
    rng = np.random.default_rng(0)
    dataset = SimpleNamespace(
        gt_data=SimpleNamespace(
            num_factors=len(SIZES), sample_factors=lambda n: rng.integers(SIZES, size=(n, len(SIZES)))
        ),
        dataset_batch_from_factors=lambda levels, mode: levels,  # noqa: ARG005 - passed by name
        dataset_sample_batch=lambda n, mode: rng.integers(SIZES, size=(n, 4)),  # noqa: ARG005
    )
    found = metric_factor_vae(
        dataset,
        lambda levels: continuous_codes(kind, levels, seed=1000 + next(seeds)),
        batch_size=64,
        num_train=10_000,
        num_eval=10,
        num_variance_estimate=10_000,
    )
    return float(found["factor_vae.train_accuracy"])


def main() -> None:
    np.random.seed(0)  # noqa: NPY002 - disent draws from it
    levels = factors()
    scores: dict[str, object] = {
        "versions": {name: version(name) for name in ("disent", "numpy", "scikit-learn", "scipy")}
    }
    for kind in KINDS:
        values = continuous_codes(kind, levels)
        train, test = (values[:TRAIN].T, levels[:TRAIN].T), (values[TRAIN:].T, levels[TRAIN:].T)
        scores[kind] = {
            "factor_vae": factor_vae(kind),
            "mig": float(_compute_mig(values.T, levels.T)["mig.discrete_score"]),
            "sap": float(_compute_sap(*train, *test, continuous_factors=False)["sap.score"]),
        }
    values, some = continuous_codes("rotated", levels)[:DCI_IMAGES].T, levels[:DCI_IMAGES].T
    border = 2 * DCI_IMAGES // 3
    found = _compute_dci(values[:, :border], some[:, :border], values[:, border:], some[:, border:])
    scores["dci"] = {name.removeprefix("dci."): float(value) for name, value in found.items()}
    matrix = np.random.default_rng(4).random((5, 3)) ** 4
    scores["concentration"] = [float(_disentanglement(matrix)), float(_completeness(matrix))]
    text = json.dumps(scores, indent=2) + "\n"
    Path(__file__).with_name("disent_scores.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
