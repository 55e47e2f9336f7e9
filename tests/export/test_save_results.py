"""The card of a bundle: its limits, and the evaluation that is kept in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.cli.main import main
from infogan_tool.export import evaluate as evaluate_module
from infogan_tool.export.atomic_folder import only_writer_of
from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.measure import measure_bundle
from infogan_tool.export.evaluation.metrics.clustering import score_categories
from infogan_tool.export.limitations import describe_limitations, describe_reversed
from infogan_tool.export.save_results import save_results
from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.bundle.metadata import OodSpec, read_metadata
from infogan_tool.runtime.errors import BundleError, InUseError
from infogan_tool.runtime.preprocessing.spec import Preprocessing

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.results import Results

TINY: Final = Path(__file__).parent.parent / "fixtures" / "tiny"
QUICK: Final = ClassifierSettings(steps=20, batch_size=50)


@pytest.fixture(scope="module")
def report() -> Results:
    """An evaluation that says it is of the bundle TINY."""
    found = measure_bundle(BarBundle("useless"), real_bars(), samples=200, classifier=QUICK)
    return replace(found, bundle_id=read_metadata(TINY).bundle_id)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that may be written to."""
    return shutil.copytree(TINY, tmp_path / "bundle")


def test_names_by_training_are_told_apart_from_measured_ones() -> None:
    metadata = read_metadata(TINY)
    measured = "Names of categories and styles were measured"
    assert "Names" not in " ".join(describe_limitations(metadata)), "its categories and styles have none"
    assert measured in " ".join(describe_limitations(replace(metadata, style_names={"c3": "slant"})))
    trained = replace(
        metadata,
        card=metadata.card | {"named_by_training": ["c1", "c2"]},
        style_names={"c1": "size", "c2": "angle"},
    )
    assert measured not in " ".join(describe_limitations(trained))
    assert any("Names of c1 and c2 are of transformations" in line for line in describe_limitations(trained))
    renamed = replace(trained, card=trained.card | {"named_by_hand": ["c1"]})
    assert any("Names of c2 are of transformations" in line for line in describe_limitations(renamed))


def test_a_style_that_is_reversed_in_some_categories_is_a_limitation() -> None:
    pretrained = read_metadata(PRETRAINED_BUNDLE)
    styles = {**pretrained.card["styles"], "reversed": {"c2": [9, 0, 10, 1.0, "1"], "c9": [1], "c1": "x"}}
    labels = pretrained.labels["k1"]
    found = replace(pretrained, card={**pretrained.card, "styles": styles})
    assert describe_reversed(found) == [
        f"c2 changes stroke width the other way in categories {labels[9]} and {labels[0]}."
    ]
    assert describe_reversed(found)[0] in describe_limitations(found)
    several = replace(found, latent=replace(found.latent, categorical=(5, 2)))
    assert describe_reversed(several) == [
        "c2 changes stroke width the other way in 5 combinations of categories."
    ]
    assert describe_reversed(pretrained) == []


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"steps": 30, "planned_steps": 30, "stages": []}, None),
        ({"steps": 30}, None),
        ({"steps": 1, "planned_steps": "2", "stages": 3}, None),
        (
            {"steps": 9, "planned_steps": 30, "stages": [{"name": []}, 1]},
            "9 of 30 steps. The generator has not",
        ),
        (
            {"steps": 1500, "planned_steps": 3000, "stages": [{"name": "adversarial"}]},
            "1,500 of 3,000 steps.",
        ),
    ],
)
def test_an_unfinished_training_is_a_limitation(training: dict[str, Any], says: str | None) -> None:
    first = describe_limitations(replace(read_metadata(TINY), training=training))[0]
    assert says in first if says else "unfinished" not in first


def test_limits_are_of_what_a_bundle_is() -> None:
    metadata = read_metadata(TINY)
    text = " ".join(describe_limitations(metadata))
    assert "with the layout of mnist" in text
    assert "are not flagged" in text
    assert "describes c1, c2 and c3." in text
    assert "fp32" not in text

    preprocessing = Preprocessing(box=20, centre="mass", ink="light", stroke=2.0)
    known = OodSpec(threshold=0.5, metrics={"false_flags_test": 0.0312})
    other = replace(
        metadata,
        image=replace(metadata.image, preprocessing=preprocessing),
        ood=known,
        style_names={"c1": "slant", "c2": None, "c3": "width"},
        precision="int8",
        card={"accuracy": {}, "styles": {}, "limitations": ["older"]},
    )
    text = " ".join(describe_limitations(other))
    assert "one foreground object per image" in text
    assert "and so are 3.1 % of the test images" in text
    assert "describes c2." in text
    few = {"correlation": {"c2": {"slant": [0.9, None], "area": [0.2, None]}}}
    text = " ".join(describe_limitations(replace(other, card={"styles": few})))
    assert "single attribute" not in text
    assert "Too few real images of a category to name c2" in text
    assert "Computes in int8" in text
    assert "older" not in text

    unmeasured = replace(metadata, card={}, style_names={}, labels={})
    text = " ".join(describe_limitations(unmeasured))
    assert "single attribute" not in text
    assert "Names" not in text
    angles = replace(metadata.latent, periodic=metadata.latent.continuous_names)
    assert "extrapolated" not in " ".join(describe_limitations(replace(metadata, latent=angles)))


@pytest.mark.parametrize("strange", [None, [], {"name": ["x"]}, {"name": 1}])
def test_limits_of_metadata_that_anybody_wrote(strange: object) -> None:
    metadata = replace(
        read_metadata(TINY),
        training={"data": strange},
        ood=OodSpec(threshold=0.5, metrics={"false_flags_test": "many"}),
    )
    text = " ".join(describe_limitations(metadata))
    assert "layout of the training images" in text
    assert "many" not in text


def test_limits_that_were_measured(report: Results) -> None:
    rows = report.encoder["k1"].clustering
    assert rows is not None
    assert report.generator is not None
    label, share = max(((r.label, 1 - (r.recall or 0)) for r in rows.categories), key=lambda pair: pair[1])
    text = " ".join(describe_limitations(read_metadata(TINY), report))
    assert f"k1 is least accurate for {label}: {100 * share:.1f} % of its test images" in text
    assert f"coverage {report.generator.distances.coverage:.2f}, real-vs-real baseline" in text
    perfect = measure_bundle(BarBundle("perfect"), real_bars(), samples=200, classifier=QUICK)
    assert "least accurate" not in " ".join(describe_limitations(read_metadata(TINY), perfect))


def test_labels_without_a_category_are_told(report: Results) -> None:
    clustering = score_categories(
        np.array([0, 0, 0, 1, 0]), np.array([0, 0, 1, 1, 2]), label_of=[0, 1], label_names=("a", "b", "c")
    )
    lost = replace(
        report,
        data=replace(report.data, label_names=("a", "b", "c")),
        encoder={"k1": replace(report.encoder["k1"], clustering=clustering)},
    )
    text = " ".join(describe_limitations(read_metadata(TINY), lost))
    assert "k1 has no category for c." in text
    assert "k1 is least accurate for b: 50.0 % of its test images" in text


def test_coverage_is_compared_for_as_many_images(report: Results) -> None:
    assert report.generator is not None
    fewer = replace(report, generator=replace(report.generator, generated_count=100))
    assert "vary less" not in " ".join(describe_limitations(read_metadata(TINY), fewer))


def test_a_saved_evaluation_is_in_the_card_and_nothing_else_changes(report: Results, bundle: Path) -> None:
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    save_results(report, bundle)
    metadata = load_bundle(bundle, device="cpu").metadata
    kept, whole = metadata.card["evaluation"], report.to_dict()
    assert kept["encoder"]["k1"]["clustering"]["nmi"] == whole["encoder"]["k1"]["clustering"]["nmi"]
    assert kept["generator"]["distances"] == whole["generator"]["distances"]
    assert kept["round_trip"] == whole["round_trip"]
    assert kept["information"] == whole["information"]
    assert "confusion" not in json.dumps(kept)
    assert any("least accurate" in text for text in metadata.card["limitations"])
    assert metadata == replace(read_metadata(TINY), card=metadata.card)
    after = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"metadata.json"}


def test_another_bundle_and_another_writer_are_refused(report: Results, bundle: Path) -> None:
    before = (bundle / "metadata.json").read_bytes()
    with pytest.raises(BundleError, match="evaluate it again"):
        save_results(replace(report, bundle_id="1" * 32), bundle)
    with only_writer_of(bundle), pytest.raises(InUseError):
        save_results(report, bundle)
    assert (bundle / "metadata.json").read_bytes() == before


def test_the_command_saves_and_info_shows(
    report: Results, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", lambda *_, **__: report)
    assert main(["evaluate", str(bundle)]) == 0
    assert "evaluation" not in read_metadata(bundle).card
    assert main(["evaluate", str(bundle), "--save", "--json"]) == 0
    capsys.readouterr()
    assert main(["info", str(bundle), "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("card.evaluation.generator.distances.frechet = ") for line in lines)
    limitations = read_metadata(bundle).card["limitations"]
    assert f"card.limitations = {', '.join(limitations)}" in lines
    assert main(["info", str(bundle)]) == 0
    assert f"limitations - {limitations[0][:40]}" in capsys.readouterr().out


def test_a_report_that_cannot_be_saved_is_not_lost(
    report: Results, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", lambda *_, **__: replace(report, bundle_id="1" * 32))
    assert main(["evaluate", str(bundle), "--save", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["samples"] == 200
    assert "was replaced while it was measured" in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("given", [[], ["."], ["nothing"]])
def test_what_has_no_card_is_refused_before_the_work(
    given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_module, "evaluate", lambda *_, **__: pytest.fail("it was measured"))
    assert main(["evaluate", *given, "--save"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "--save needs the folder of a bundle" in error
