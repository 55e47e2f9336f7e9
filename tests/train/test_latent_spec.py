"""The spec and what torch draws from it."""

from __future__ import annotations

import math

import pytest
import torch

from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.infogan.latents import sample_latents

SPECS = [
    LatentSpec(noise=62, noise_prior="uniform", categorical=(10,), continuous=2),
    LatentSpec(noise=5, noise_prior="normal", categorical=(4, 3), continuous=3),
    LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=2),
    LatentSpec(noise=3, noise_prior="normal", categorical=(20, 20, 20), continuous=0),
]


@pytest.mark.parametrize("spec", SPECS)
def test_vector_follows_the_slices(spec: LatentSpec) -> None:
    latent = sample_latents(spec, 500, torch.Generator().manual_seed(0))
    vector = latent.vector()
    assert vector.shape == (500, spec.dim)
    assert vector.dtype == torch.float32
    torch.testing.assert_close(vector[:, spec.noise_slice], latent.noise)
    torch.testing.assert_close(vector[:, spec.continuous_slice], latent.styles)
    for i, part in enumerate(spec.categorical_slices):
        assert torch.equal(vector[:, part].sum(dim=1), torch.ones(500))
        assert torch.equal(vector[:, part].argmax(dim=1), latent.categories[:, i])


@pytest.mark.parametrize("spec", SPECS)
def test_draws_follow_the_priors(spec: LatentSpec) -> None:
    latent = sample_latents(spec, 20_000, torch.Generator().manual_seed(1))
    if spec.noise:
        std = 1.0 if spec.noise_prior == "normal" else math.sqrt(1 / 3)
        assert latent.noise.std().item() == pytest.approx(std, rel=0.02)
        assert latent.noise.mean().item() == pytest.approx(0, abs=0.02)
    for i, size in enumerate(spec.categorical):
        share = latent.categories[:, i].bincount(minlength=size) / 20_000
        torch.testing.assert_close(share, torch.full((size,), 1 / size), atol=0.02, rtol=0)
    if spec.continuous:
        assert latent.styles.abs().max().item() <= 1
        assert latent.styles.std().item() == pytest.approx(math.sqrt(1 / 3), rel=0.02)
