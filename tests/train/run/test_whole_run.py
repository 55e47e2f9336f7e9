"""The default training as a whole, on all of MNIST. Minutes: `make test-slow`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_default_run_encodes_and_generates_digits(cli: Callable[..., Result], tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "bundle"
    done = cli("train", "--seed", 1, "--out", run)
    assert done.code == 0, done.err
    done = cli("export", run, "--out", folder)
    assert done.code == 0, done.err
    bundle = load_bundle(folder)
    assert bundle.metadata.card["accuracy"]["test"] > 0.95
    assert sorted(name or "" for name in bundle.metadata.labels["k1"]) == list("0123456789")
    latents = bundle.sample(2000, seed=0)
    posterior = bundle.encode(bundle.generate(latents))
    assert (posterior.categories == latents.categories).mean() > 0.99
    for column in range(bundle.latent.continuous):
        drawn, read = latents.styles[:, column], posterior.style_mean[:, column]
        assert np.corrcoef(drawn, read)[0, 1] > 0.95
