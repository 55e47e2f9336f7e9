"""lambda of each code, and the probability that each adversarial loss makes of D's output."""

from __future__ import annotations

import math

import pytest
import torch

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.schema import ObjectiveConfig
from infogan_tool.train.infogan.objective import code_weights, entropy_vector, probability_of_real

SPEC = LatentSpec(noise=2, noise_prior="uniform", categorical=(4, 3), continuous=3)


def test_weights_stand_in_the_order_of_the_codes() -> None:
    values = ObjectiveConfig(lambda_categorical=0.5, lambda_continuous=0.25)
    weights = code_weights(SPEC, values, torch.device("cpu"))
    assert weights.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]


def test_vectors_live_where_they_are_asked_to() -> None:
    values = ObjectiveConfig()
    assert code_weights(SPEC, values, torch.device("meta")).is_meta
    assert entropy_vector(SPEC, torch.device("meta")).is_meta


@pytest.mark.parametrize(
    ("kind", "probability"),
    [
        ("bce", sum(1 / (1 + math.exp(-x)) for x in (3.0, 0.5, 1.5, -2.0, -3.0)) / 5),
        ("least_squares", (1 + 0.5 + 1) / 5),
        ("hinge", 3 / 5),
    ],
)
def test_probability_of_real_where_more_is_above_than_below(kind: str, probability: float) -> None:
    outputs = torch.tensor([3.0, 0.5, 1.5, -2.0, -3.0])
    assert probability_of_real(kind, outputs).item() == pytest.approx(probability)


def test_an_output_of_exactly_0_is_not_called_real() -> None:
    assert probability_of_real("hinge", torch.tensor([0.0, 0.0, 0.5])).item() == pytest.approx(1 / 3)
