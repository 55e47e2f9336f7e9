"""Properties of every latent spec and of what is drawn from it."""

from __future__ import annotations

import json

import torch
from hypothesis import given
from hypothesis import strategies as st

from infogan_tool.runtime.latents.sampling import sample
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.infogan.latents import sample_latents

SPECS = st.builds(
    LatentSpec,
    noise=st.integers(0, 300),
    noise_prior=st.sampled_from(["uniform", "normal"]),
    categorical=st.lists(st.integers(2, 50), min_size=1, max_size=6).map(tuple),
    continuous=st.integers(0, 20),
)


@given(SPECS)
def test_slices_lie_side_by_side_and_cover_the_latent(spec: LatentSpec) -> None:
    parts = (spec.noise_slice, *spec.categorical_slices, spec.continuous_slice)
    assert [i for part in parts for i in range(spec.dim)[part]] == list(range(spec.dim))
    assert [i for part in spec.logit_slices for i in range(spec.num_logits)[part]] == list(
        range(spec.num_logits)
    )
    assert [part.stop - part.start for part in spec.categorical_slices] == list(spec.categorical)


@given(SPECS)
def test_round_trip_through_json(spec: LatentSpec) -> None:
    assert LatentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(SPECS, st.integers(0, 2**64 - 1), st.integers(0, 9))
def test_draws_are_in_range_in_numpy_and_in_torch(spec: LatentSpec, seed: int, count: int) -> None:
    drawn = sample(spec, count, seed)
    assert drawn.noise.shape == (count, spec.noise)
    assert all((drawn.categories[:, i] < size).all() for i, size in enumerate(spec.categorical))
    assert (drawn.categories >= 0).all()
    assert (abs(drawn.styles) <= 1).all()
    latent = sample_latents(spec, count, torch.Generator().manual_seed(seed % 2**63))
    assert latent.vector().shape == (count, spec.dim)
