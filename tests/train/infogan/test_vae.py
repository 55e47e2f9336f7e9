"""The bound of the conditional variational autoencoder, and what its update moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from infogan_tool.runtime.errors import ConfigError, NonFiniteError
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import cvae
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.vae import VariationalStage, bernoulli_nll, gaussian_kl

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig

SMALL = {
    "data": {"size": 28, "channels": 1},
    "networks": {"base_width": 8, "full_width": 32, "q_width": 16, "q_features": 16},
    "latent": {"noise": 8},
    "precision": "fp32",
    "schedule": {"batch_size": 50},
}


def make_config(changes: dict[str, Any] | None = None) -> TrainConfig:
    return validate_config(deep_merge(deep_merge(cvae(), SMALL), changes or {}))


def make_stage(images: Tensor, changes: dict[str, Any] | None = None) -> VariationalStage:
    config = make_config(changes)
    networks = build_networks(config, size=28, channels=1)
    return VariationalStage(Session(config=config, networks=networks, images=images))


def test_kl_equals_torchs() -> None:
    rng = torch.Generator().manual_seed(0)
    mean, log_var = torch.randn(6, 3, generator=rng), torch.randn(6, 3, generator=rng)
    ours = gaussian_kl(mean, log_var, 1 / 3)
    prior = Normal(torch.zeros(3), torch.full((3,), (1 / 3) ** 0.5))
    torch.testing.assert_close(ours, kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior).sum(dim=1))


def test_likelihood_equals_torchs() -> None:
    rng = torch.Generator().manual_seed(0)
    probabilities = torch.rand(4, 1, 5, 5, generator=rng)
    values = (torch.rand(4, 1, 5, 5, generator=rng) > 0.5).float()
    expected = -Bernoulli(probs=probabilities).log_prob(values).flatten(1).sum(dim=1)
    torch.testing.assert_close(bernoulli_nll(probabilities, values), expected)
    assert torch.isfinite(bernoulli_nll(1 - values, values)).all()


def test_bound_rises_and_the_category_branch_is_frozen(mnist: Tensor) -> None:
    stage = make_stage(mnist)
    frozen = {n: t.clone() for n, t in stage.session.networks.q_category.state_dict().items()}
    losses = []
    for index in range(60):
        stage.meters.reset()
        stage.step(index)
        losses.append(sum(stage.scalars().values()))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    state = stage.session.networks.q_category.state_dict()
    assert all(torch.equal(state[name], frozen[name]) for name in state)
    assert not hasattr(stage.session.networks, "d_head"), "an autoencoder has no D"


def test_decoder_is_conditioned_on_the_category(mnist: Tensor) -> None:
    stage = make_stage(mnist)
    for index in range(5):
        stage.step(index)
    spec = stage.session.config.latent
    first = next(iter(stage.session.networks.generator.layers))
    assert isinstance(first.weight, torch.Tensor)
    rows = first.weight.grad
    assert rows is not None
    seen = rows[spec.categorical_slices[0]].abs().sum(dim=(1, 2, 3))
    assert (seen > 0).any()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_non_finite_weight_stops_before_anything_moves(mnist: Tensor, poison: float) -> None:
    stage = make_stage(mnist)
    networks = stage.session.networks
    head = networks.noise_head.mean
    assert head is not None
    with torch.no_grad():
        assert head.bias is not None
        head.bias[0] = poison
    before = networks.generator.state_dict()["layers.0.weight"].clone()
    with pytest.raises(NonFiniteError, match="Loss/VAE/noise"):
        stage.step(0)
    assert torch.equal(networks.generator.state_dict()["layers.0.weight"], before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": {"categorical": []}}, "one categorical code and clustering"),
        ({"latent": {"categorical": [10, 3]}}, "one categorical code and clustering"),
        ({"clustering": None}, "one categorical code and clustering"),
        ({"latent": {"noise_prior": "uniform"}}, "noise_prior = 'normal'"),
        ({"objective": {"information_update": "shared"}}, "needs networks.q = 'shared'"),
    ],
)
def test_impossible_configs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(changes)
