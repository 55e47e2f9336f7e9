"""The scores of known factors in the results of an evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.cli.evaluation_tables import format_results
from infogan_tool.export.evaluation.measure import measure_bundle
from infogan_tool.export.evaluation.real_images import RealImages, load_real_images
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.train.data import Factors

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.results import Results


@pytest.fixture(scope="module")
def results() -> Results:
    """Of the perfect bundle, whose k1 is the height of bars, c1 their slant and c2 their width."""
    real = real_bars(labels=False)
    assert real.test is not None
    posterior = BarBundle("perfect").encode(real.test.images[:].permute(0, 2, 3, 1).numpy())
    slant = np.digitize(posterior.style_mean[:, 0], [-0.5, 0, 0.5])
    values = np.stack([posterior.categories[:, 0], slant], axis=1)
    factors = Factors(
        names=("height", "slant"),
        levels=(("tall", "short"), (-20.0, -10.0, 10.0, 20.0)),
        values=torch.from_numpy(values),
    )
    test = replace(real.test, factors=factors)
    return measure_bundle(BarBundle("perfect"), RealImages(train=real.train, test=test), samples=100)


def test_scores_and_the_code_of_each_factor(results: Results) -> None:
    found: dict[str, Any] = json.loads(json.dumps(results.to_dict(), allow_nan=False))["factor_scores"]
    assert list(found) == [
        "images",
        "factor_vae",
        "beta_vae",
        "mig",
        "sap",
        "dci",
        "modularity",
        "explicitness",
        "infomec",
        "factors",
    ]
    assert found["images"] == 200
    assert found["factor_vae"] == 1
    assert found["beta_vae"] > 0.95
    assert found["mig"] > 0.7
    assert found["sap"] > 0.4
    assert found["dci"]["disentanglement"] > 0.9
    assert found["explicitness"] > 0.9
    height, slant = found["factors"]["height"], found["factors"]["slant"]
    assert (height["code"], height["levels"], height["information"]) == ("k1", 2, 1)
    assert (slant["code"], slant["levels"]) == ("c1", 4)
    assert list(slant["information_by_code"]) == ["k1", "c1", "c2", "c3"]
    assert slant["information_by_code"]["c1"] == slant["information"] > 0.7
    assert slant["runner_up_information"] == slant["information_by_code"][slant["runner_up"]] < 0.3
    assert slant["correlation"] == slant["correlation_by_code"]["c1"] > 0.9
    assert list(slant["correlation_by_code"]) == ["c1", "c2", "c3"]
    assert abs(slant["correlation_by_code"]["c2"]) < 0.3
    assert not {"correlation", "correlation_by_code"} & set(height)  # its levels are words
    assert (height["votes"]["k1"], slant["votes"]["c1"]) == (250, 250)
    assert sum(slant["votes"].values()) == 250


def test_table(results: Results) -> None:
    assert results.factor_scores is not None
    assert "Known factors" not in format_results(replace(results, factor_scores=None))
    text = format_results(results)
    assert max(map(len, text.splitlines())) <= 80
    assert "Known factors: scores of all codes on 200 real images" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["FactorVAE", "1.0000"] in rows
    assert ["height", "2", "k1", "100.00", "%", "-"] in [row[:6] for row in rows]
    (slant,) = (row for row in rows if row[:3] == ["slant", "4", "c1"])
    assert float(slant[5]) == pytest.approx(results.factor_scores.factors["slant"].correlation, abs=1e-3)


def test_computed_data_sets_are_sampled() -> None:
    real = load_real_images("dsprites", ImageSpec(size=32, channels=1, low=0.0, high=1.0))
    assert real.test is None
    assert len(real.scored) == 20_000
    assert isinstance(real.scored.images, torch.Tensor)
    assert real.scored.factors is not None
    assert real.scored.labels is not None
    # Every level of every factor is there, about equally often.
    for column, size in zip(real.scored.factors.values.T, real.scored.factors.sizes, strict=True):
        counts = torch.bincount(column, minlength=size)
        assert (counts - 20_000 / size).abs().max() < 0.3 * 20_000 / size
    torch.testing.assert_close(real.scored.factors.values[:, 0], real.scored.labels)
