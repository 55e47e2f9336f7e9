"""Latents sampled with torch: priors, order and ranges, for every latent spec."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infogan_tool.runtime.latents.sampling import sample
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.infogan.latents import sample_latents

SPECS = [
    LatentSpec(noise=62, noise_prior="uniform", categorical=(10,), continuous=2),
    LatentSpec(noise=5, noise_prior="normal", categorical=(4, 3), continuous=3),
    LatentSpec(noise=0, noise_prior="uniform", categorical=(), continuous=2),
    LatentSpec(noise=3, noise_prior="normal", categorical=(20, 20, 20), continuous=0),
]


ANY_SPEC = st.builds(
    LatentSpec,
    noise=st.integers(0, 300),
    noise_prior=st.sampled_from(["uniform", "normal"]),
    categorical=st.lists(st.integers(2, 50), min_size=1, max_size=6).map(tuple),
    continuous=st.integers(0, 20),
)


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
def test_samples_follow_the_priors(spec: LatentSpec) -> None:
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


@given(ANY_SPEC)
def test_slices_are_adjacent_and_cover_the_latent(spec: LatentSpec) -> None:
    parts = (spec.noise_slice, *spec.categorical_slices, spec.continuous_slice)
    assert [i for part in parts for i in range(spec.dim)[part]] == list(range(spec.dim))
    assert [i for part in spec.logit_slices for i in range(spec.num_logits)[part]] == list(
        range(spec.num_logits)
    )
    assert [part.stop - part.start for part in spec.categorical_slices] == list(spec.categorical)


@given(ANY_SPEC)
def test_round_trip_through_json(spec: LatentSpec) -> None:
    assert LatentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(ANY_SPEC, st.integers(0, 2**64 - 1), st.integers(0, 9))
def test_samples_are_in_range_in_numpy_and_in_torch(spec: LatentSpec, seed: int, count: int) -> None:
    latents = sample(spec, count, seed)
    assert latents.noise.shape == (count, spec.noise)
    assert all((latents.categories[:, i] < size).all() for i, size in enumerate(spec.categorical))
    assert (latents.categories >= 0).all()
    assert (abs(latents.styles) <= 1).all()
    latent = sample_latents(spec, count, torch.Generator().manual_seed(seed % 2**63))
    assert latent.vector().shape == (count, spec.dim)
