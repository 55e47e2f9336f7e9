"""lambda of each code."""

from __future__ import annotations

import torch

from infogan_tool.runtime.latent import LatentSpec
from infogan_tool.train.config import ObjectiveConfig
from infogan_tool.train.losses import code_weights, entropy_vector
from infogan_tool.train.presets import paper

SPEC = LatentSpec(noise=2, noise_prior="uniform", categorical=(4, 3), continuous=3)


def test_weights_stand_in_the_order_of_the_codes() -> None:
    values = paper()["objective"] | {"lambda_categorical": 0.5, "lambda_continuous": 0.25}
    weights = code_weights(SPEC, ObjectiveConfig.model_validate(values), torch.device("cpu"))
    assert weights.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]


def test_vectors_live_where_they_are_asked_to() -> None:
    values = ObjectiveConfig.model_validate(paper()["objective"])
    assert code_weights(SPEC, values, torch.device("meta")).is_meta
    assert entropy_vector(SPEC, torch.device("meta")).is_meta
