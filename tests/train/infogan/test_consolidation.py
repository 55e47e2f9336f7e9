"""Consolidation: BatchNorm statistics of the EMA generator, and a Q that fits its images."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
from coloured_shapes import shapes, small_preset
from training_images import planned

from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.objective import code_nll
from infogan_tool.train.run import loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.infogan.networks import Networks


def test_ema_generator_gets_statistics_of_its_own() -> None:
    images, _ = shapes(300)
    config = small_preset()
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    ema = networks.generator_ema
    assert ema is not None
    norm = next(layer for layer in ema.layers if isinstance(layer, torch.nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean.fill_(7.0)
    weights = {name: p.clone() for name, p in ema.named_parameters()}
    ConsolidationStage(Session(config=config, networks=networks, images=images))
    latents = sample_latents(config.latent, 20_000, torch.Generator().manual_seed(99)).vector()
    with torch.no_grad():
        first = ema.layers[0](latents[:, :, None, None]).flatten(1)
    assert torch.allclose(norm.running_mean, first.mean(dim=0), atol=0.05 * float(first.std()))
    assert not ema.training
    assert all(torch.equal(p, weights[name]) for name, p in ema.named_parameters())


def test_the_trunk_of_q_is_frozen() -> None:
    images, _ = shapes(60)
    changes = {"networks": {"q": "shared"}, "objective": {"information_update": "shared"}}
    config = small_preset(changes)
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    ConsolidationStage(Session(config=config, networks=networks, images=images)).step(0)
    assert all(p.grad is None for p in networks.trunk.parameters())
    assert any(p.grad is not None for p in networks.q.parameters())


@pytest.fixture(scope="module")
def trained() -> Callable[[float, int], Networks]:
    """A function of ``q_noise`` and consolidation steps that returns the networks of a whole run."""
    images, _ = shapes(600)

    @cache
    def train(q_noise: float, steps: int) -> Networks:
        changes = {
            "q_noise": q_noise,
            "clustering": None,
            "networks": {"conditional": False},
            "objective": {"axis_alignments": 0, "hessian_penalty": 0},
            "consolidation": {"steps": steps},
            "schedule": {"steps": 60},
        }
        return loop.train(planned(small_preset(changes), images), None).networks

    return train


def test_consolidation_improves_q_on_generated_images(trained: Callable[[float, int], Networks]) -> None:
    losses = []
    for steps in (1, 150):
        networks = trained(0.0, steps)
        latent = sample_latents(networks.latent, 1000, torch.Generator().manual_seed(9))
        with torch.no_grad():
            nll = code_nll(networks.infer(networks.export_generator(latent.vector())), latent)
        losses.append(nll[1:].sum().item())
    assert losses[1] < losses[0] - 0.1


def test_q_noise_makes_q_robust_to_noise(trained: Callable[[float, int], Networks]) -> None:
    increases = []
    for q_noise in (0.0, 0.2):
        networks, rng = trained(q_noise, 150), torch.Generator().manual_seed(9)
        latent = sample_latents(networks.latent, 1000, rng)
        with torch.no_grad():
            clear = networks.export_generator(latent.vector())
            noisy = (clear + 0.1 * torch.randn(clear.shape, generator=rng)).clamp(0, 1)
            of_clear, of_noisy = (code_nll(networks.infer(x), latent)[1:].sum() for x in (clear, noisy))
        increases.append((of_noisy - of_clear).item())
    assert increases[1] < 0.5 * increases[0]
