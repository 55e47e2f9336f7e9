"""All results of a perfect, a useless and a degenerate bundle, and the results that are absent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.measure import measure_bundle

QUICK = ClassifierSettings(steps=60, batch_size=50)
LOG2 = math.log(2)


Measured = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Return a function that measures a bundle of bars."""
    folder = tmp_path_factory.mktemp("classifiers")

    def measure(kind: str, **real: bool) -> dict[str, Any]:
        return measure_bundle(
            BarBundle(kind),
            real_bars(**real),
            samples=300,
            seed=5,
            classifier=QUICK,
            classifier_folder=folder,
        ).to_dict()

    return measure


@pytest.fixture(scope="module")
def useless(measured: Measured) -> dict[str, Any]:
    return measured("useless")


@pytest.fixture(scope="module")
def perfect(measured: Measured) -> dict[str, Any]:
    return measured("perfect")


def test_head(perfect: dict[str, Any]) -> None:
    assert perfect["schema_version"] == 1
    assert (perfect["bundle_id"], perfect["samples"], perfect["seed"]) == ("0" * 32, 300, 5)
    assert perfect["data"] == {
        "name": "bars",
        "train_count": 300,
        "scored_count": 200,
        "scored_on": "test",
        "label_names": ["short", "tall"],
    }


def test_perfect_encoder(perfect: dict[str, Any]) -> None:
    found = perfect["encoder"]["k1"]
    assert found["confidence"] == {"mean": 0.999, "below_half": 0, "below_nine_tenths": 0}
    scores = found["clustering"]
    assert (scores["accuracy"], scores["nmi"], scores["ari"]) == (1, 1, 1)
    assert [row["label"] for row in scores["categories"]] == ["tall", "short"], "matched, not in order"
    assert found["calibration"]["ece"] == pytest.approx(0.001, abs=1e-6)
    assert found["calibration"]["ece_tempered"] <= 0.001
    assert found["calibration"]["temperature"] < 1


def test_perfect_information_and_round_trip(perfect: dict[str, Any]) -> None:
    bound = perfect["information"]
    assert bound["codes"]["k1"]["lower_bound_nats"] == pytest.approx(LOG2 + math.log(0.999), abs=1e-4)
    assert bound["codes"]["c1"]["lower_bound_nats"] > 1
    assert bound["codes"]["c3"]["lower_bound_nats"] == pytest.approx(-0.176, abs=0.06)
    assert bound["entropy_nats"] == pytest.approx(4 * LOG2, abs=1e-5)
    total = sum(code["lower_bound_nats"] for code in bound["codes"].values())
    assert bound["lower_bound_nats"] == pytest.approx(total, abs=1e-4)
    trip = perfect["round_trip"]
    assert trip["categorical"]["k1"] == {"recovered": 1, "by_category": [1, 1]}
    assert trip["continuous"]["c1"]["pearson_r"] > 0.99
    assert min(trip["continuous"]["c1"]["pearson_r_by_category"]["k1"]) > 0.99
    assert trip["continuous"]["c3"]["pearson_r"] == 0


def test_perfect_generator_is_as_close_as_real_images(
    perfect: dict[str, Any], useless: dict[str, Any]
) -> None:
    assert perfect["classifier"]["test_accuracy"] > 0.95
    found = perfect["generator"]
    purity = found["purity"]["k1"]
    assert purity["purity"] > 0.95
    assert purity["agrees_with_encoder"] == purity["purity"]
    assert purity["classes_generated"] == 2
    assert [row["label"] for row in purity["categories"]] == ["tall", "short"]
    assert found["distances"]["frechet"] < 3 * found["real_vs_real"]["frechet"]
    assert found["distances"]["coverage"] > 0.9
    assert found["distances"]["density"] == pytest.approx(1, abs=0.2)
    assert abs(found["distances"]["kernel"]) < 0.1 * abs(useless["generator"]["distances"]["kernel"])
    assert (found["generated_count"], found["real_count"], found["real_vs_real_count"]) == (300, 200, 300)


def test_perfect_styles(perfect: dict[str, Any]) -> None:
    assert perfect["styles"]["codes"]["c1"]["name"] == "slant"
    assert perfect["styles"]["codes"]["c2"]["attribute"] == "stroke_width"
    assert "name" not in perfect["styles"]["codes"]["c3"]


def test_useless_bundle(useless: dict[str, Any]) -> None:
    found = useless
    encoder = found["encoder"]["k1"]
    assert encoder["confidence"]["mean"] == 0.5
    assert encoder["confidence"]["below_nine_tenths"] == 1
    assert encoder["clustering"]["nmi"] == 0
    assert encoder["clustering"]["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert found["information"]["codes"]["k1"]["lower_bound_nats"] == pytest.approx(0, abs=1e-6)
    assert found["round_trip"]["categorical"]["k1"]["recovered"] == pytest.approx(0.5, abs=0.1)
    assert found["generator"]["distances"]["coverage"] < 0.05
    assert found["generator"]["distances"]["density"] < 0.05


def test_degenerate_bundle_gives_finite_metrics(measured: Measured) -> None:
    found = measured("degenerate")
    json.dumps(found, allow_nan=False)
    assert found["encoder"]["k1"]["clustering"]["ari"] == 0
    assert found["generator"]["purity"]["k1"]["classes_generated"] == 1
    assert found["generator"]["distances"]["coverage"] < 0.05
    assert found["round_trip"]["continuous"]["c1"]["pearson_r"] == 0


def test_images_are_rounded_to_8_bits_before_they_are_encoded(measured: Measured) -> None:
    bundle = BarBundle("hidden")
    latents = bundle.sample(300, 5)
    read = bundle.encode(bundle.generate(latents)).style_mean[:, 2]
    assert read == pytest.approx(latents.styles[:, 2], abs=1e-3), "before rounding"
    assert measured("hidden")["round_trip"]["continuous"]["c3"]["pearson_r"] == 0


def test_results_that_need_labels_are_absent_without_them(
    perfect: dict[str, Any], measured: Measured
) -> None:
    found = measured("perfect", labels=False)
    assert not {"classifier", "generator", "factor_scores"} & set(found)
    for name in ("information", "round_trip", "styles", "axes"):
        assert found[name] == perfect[name], "the same seed, the same results"
    assert set(found["encoder"]["k1"]) == {"confidence"}
    assert "label_names" not in found["data"]
    assert found["styles"]["codes"]["c1"]["name"] == "slant", "which needs no labels"
    assert found["information"]["codes"]["k1"]["lower_bound_nats"] > 0.69


def test_without_test_images_training_images_are_scored_and_there_is_no_baseline(measured: Measured) -> None:
    found = measured("perfect", test=False)
    assert (found["data"]["scored_on"], found["data"]["scored_count"]) == ("train", 300)
    assert found["classifier"]["test_count"] == 30
    assert "real_vs_real" not in found["generator"]
    assert found["generator"]["real_vs_real_count"] == 0
