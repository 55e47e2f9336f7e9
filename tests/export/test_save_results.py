"""Results of an evaluation in the model card of the bundle."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.cli.main import main
from infogan_tool.export import evaluate
from infogan_tool.export.atomic_folder import only_writer_of
from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.measure import measure_bundle
from infogan_tool.export.save_results import save_results
from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.metadata import read_metadata
from infogan_tool.runtime.errors import BundleError, InUseError

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.results import Results

TINY: Final = Path(__file__).parent.parent / "fixtures" / "tiny"
QUICK: Final = ClassifierSettings(steps=20, batch_size=50)


@pytest.fixture(scope="module")
def results() -> Results:
    """Results with the id of the bundle TINY."""
    measured = measure_bundle(BarBundle("useless"), real_bars(), samples=200, classifier=QUICK)
    return replace(measured, bundle_id=read_metadata(TINY).bundle_id)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that may be written to."""
    return shutil.copytree(TINY, tmp_path / "bundle")


def test_saved_results_are_in_the_card_and_nothing_else_changes(results: Results, bundle: Path) -> None:
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    save_results(results, bundle)
    metadata = load_bundle(bundle, device="cpu").metadata
    kept, whole = metadata.card["evaluation"], results.to_dict()
    assert kept["encoder"]["k1"]["clustering"]["nmi"] == whole["encoder"]["k1"]["clustering"]["nmi"]
    assert kept["generator"]["distances"] == whole["generator"]["distances"]
    assert kept["round_trip"] == whole["round_trip"]
    assert kept["information"] == whole["information"]
    assert "confusion" not in json.dumps(kept)
    assert any("least accurate" in text for text in metadata.card["limitations"])
    assert metadata == replace(read_metadata(TINY), card=metadata.card)
    after = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"metadata.json"}


def test_other_bundles_and_other_writers_are_refused(results: Results, bundle: Path) -> None:
    before = (bundle / "metadata.json").read_bytes()
    with pytest.raises(BundleError, match="evaluate it again"):
        save_results(replace(results, bundle_id="1" * 32), bundle)
    with only_writer_of(bundle), pytest.raises(InUseError):
        save_results(results, bundle)
    assert (bundle / "metadata.json").read_bytes() == before


def test_evaluate_saves_and_info_shows(
    results: Results, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: results)
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


def test_results_that_cannot_be_saved_are_printed(
    results: Results, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: replace(results, bundle_id="1" * 32))
    assert main(["evaluate", str(bundle), "--save", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["samples"] == 200
    assert "was replaced while it was measured" in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("given", [[], ["."], ["nothing"]])
def test_target_without_card_is_refused_before_the_work(
    given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: pytest.fail("it was measured"))
    assert main(["evaluate", *given, "--save"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "--save needs the folder of a bundle" in error
