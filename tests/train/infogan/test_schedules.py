"""What changes in the course of adversarial training: learning rates, lambdas, the blur of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from adversarial_steps import make_step
from scipy.ndimage import gaussian_filter

from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.terms import active_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig


def test_learning_rates_fall_linearly_from_lr_decay_start(small: Callable[..., TrainConfig]) -> None:
    rates = {"d_lr": 4e-4, "g_lr": 1e-3, "lr_decay_start": 0.5}
    step, _ = make_step(small({"optimizer": rates, "objective": {"information_update": "separate_step"}}))

    def rates_at(progress: float) -> dict[str, float]:
        step.set_schedules(progress)
        return {name: float(o.param_groups[0]["lr"]) for name, o in step.optimizers.items()}

    whole = {"D": 4e-4, "G": 1e-3, "L_I": 1e-3}
    assert rates_at(0.0) == rates_at(0.49) == rates_at(0.5) == pytest.approx(whole)
    assert rates_at(0.75) == pytest.approx({name: rate / 2 for name, rate in whole.items()})
    assert rates_at(0.99) == pytest.approx({name: rate / 50 for name, rate in whole.items()})
    step, _ = make_step(small())
    step.set_schedules(0.999)
    assert step.optimizers["G"].param_groups[0]["lr"] == small().optimizer.g_lr, "constant by default"


@pytest.mark.parametrize("ramp_start", [0.0, 0.2])
def test_lambda_changes_linearly_to_its_end(small: Callable[..., TrainConfig], ramp_start: float) -> None:
    first = {"lambda_categorical": 0.5, "lambda_continuous": 0.1, "lambda_ramp_start": ramp_start}
    categorical, continuous = {"lambda_categorical_end": 4.5}, {"lambda_continuous_end": 0.5}
    for weights, ends in ((categorical, [4.5, 0.1, 0.1]), (continuous, [0.5, 0.5, 0.5])):
        step, _ = make_step(small({"objective": first | weights}))
        for progress, share in ((0, 0), (ramp_start, 0), ((1 + ramp_start) / 2, 0.5), (1, 1)):
            step.set_schedules(progress)
            expected = [a + share * (b - a) for a, b in zip([0.5, 0.1, 0.1], ends, strict=True)]
            assert step._weights.tolist() == pytest.approx(expected)


def test_hessian_penalty_weighs_more_at_first(small: Callable[..., TrainConfig]) -> None:
    (term,) = active_terms(small({"objective": {"hessian_penalty": 0.1, "initial_hessian_penalty": 0.8}}))
    for progress, expected in ((0.0, 0.9), (0.05, 0.5), (0.1, 0.1), (0.7, 0.1)):
        assert float(term.weight_at(torch.tensor(progress))) == pytest.approx(expected)
    (alone,) = active_terms(small({"objective": {"initial_hessian_penalty": 0.8}}))
    assert float(alone.weight_at(torch.tensor(0.2))) == 0


def test_free_codes_have_no_lambda_at_first(small: Callable[..., TrainConfig]) -> None:
    latent = {"continuous": 3, "periodic": ["c2"]}
    step, _ = make_step(small({"latent": latent, "objective": {"free_codes_start": 0.2}}))
    for progress, expected in ((0.0, [1, 0, 0.1, 0]), (0.19, [1, 0, 0.1, 0]), (0.2, [1, 0.1, 0.1, 0.1])):
        step.set_schedules(progress)
        assert step._weights.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("progress", "deviation"), [(0.0, 2.0), (0.05, 1.0), (0.1, 0.0), (0.7, 0.0)])
def test_the_trunk_sees_blurred_images_at_the_beginning(
    small: Callable[..., TrainConfig], mnist: Tensor, progress: float, deviation: float
) -> None:
    step, rng = make_step(config := small({"initial_blur": 2 / 28}))
    real = mnist[:32].float() / 255
    seen: list[Tensor] = []
    step.networks.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    step.set_schedules(progress)
    step.step(real, sample_latents(config.latent, 32, rng))
    of_real, *of_fake = seen
    torch.testing.assert_close(*of_fake, msg="generated images in D's update and in G's")
    expected = gaussian_filter(real.numpy(), (0, 0, deviation, deviation), truncate=8)
    inner = (..., slice(9, 19), slice(9, 19))  # far from the edge
    torch.testing.assert_close(of_real[inner], torch.from_numpy(expected)[inner], atol=2e-3, rtol=0)
