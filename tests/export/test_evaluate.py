"""``evaluate``: what it opens, what it is given, and what it prints."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluation_stubs import BarBundle, real_bars

from infogan_tool.cli.evaluation_tables import format_results
from infogan_tool.cli.extras import EXTRA_MODULES
from infogan_tool.cli.main import main
from infogan_tool.export import evaluate, open_source
from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.evaluation.measure import measure_bundle
from infogan_tool.export.evaluation.metrics.clustering import score_categories
from infogan_tool.export.evaluation.real_images import RealImages
from infogan_tool.export.run_to_bundle import ExportOutcome
from infogan_tool.runtime import read_metadata
from infogan_tool.runtime.errors import BundleError, RunError, UsageError
from infogan_tool.train.config.presets import resolve_config

if TYPE_CHECKING:
    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.export.evaluation.results import Results

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
CONTINUOUS = TINY.parent / "continuous"
QUICK = ClassifierSettings(steps=5, batch_size=50)


pytestmark = pytest.mark.usefixtures("_bare_machine")


@pytest.fixture(scope="module")
def results() -> Results:
    settings = ClassifierSettings(steps=20, batch_size=50)
    return measure_bundle(BarBundle("perfect"), real_bars(), samples=200, classifier=settings)


# --- what is measured --------------------------------------------------------------------------------------


def test_real_bundle_of_several_codes(digits: Path) -> None:
    said: list[str] = []
    found = evaluate.evaluate(
        TINY, data=str(digits), samples=150, seed=3, device="cpu", classifier=QUICK, progress=said.append
    ).to_dict()
    json.dumps(found, allow_nan=False)
    assert found["data"]["name"] == "digits"
    assert (found["data"]["train_count"], found["data"]["scored_count"]) == (300, 200)
    assert list(found["encoder"]) == ["k1", "k2"]
    assert len(found["encoder"]["k1"]["clustering"]["confusion"]) == 10
    assert [row["label"] is not None for row in found["encoder"]["k2"]["clustering"]["categories"]] == [
        True
    ] * 3
    assert list(found["information"]["codes"]) == ["k1", "k2", "c1", "c2", "c3"]
    assert set(found["round_trip"]["continuous"]["c1"]["pearson_r_by_category"]) == {"k1", "k2"}
    assert found["styles"]["generated_images"] == 4 * 3 * 20 * 11
    assert found["generator"]["generated_count"] == 150
    assert found["classifier"]["classes"] == 10
    assert said[0].startswith("loading")
    assert any("classifier" in line for line in said)


def test_bundle_without_categories(digits: Path) -> None:
    found = evaluate.evaluate(
        CONTINUOUS, data=str(digits), samples=100, device="cpu", classifier=QUICK
    ).to_dict()
    assert "encoder" not in found
    assert "purity" not in found["generator"]
    assert list(found["information"]["codes"]) == ["c1", "c2"]
    assert list(found["styles"]["codes"]) == ["c1", "c2"]


def test_run_is_exported_and_its_data_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    config = resolve_config(preset="paper", file=None, flags={"data": {"source": "kmnist"}})
    (run / "config.json").write_text(json.dumps(config.to_dict()))
    opened: list[Any] = []

    def load(source: str, image: object, *, factors: bool) -> RealImages:
        assert factors
        opened.append((source, image))
        return real_bars()

    def export(
        path: Path, out: Path, *, data: object, preprocessing: object
    ) -> ExportOutcome:  # tested elsewhere, and takes its time
        assert path == run
        assert data is preprocessing is None
        shutil.copytree(TINY, out)
        metadata = json.loads((out / "metadata.json").read_text())
        metadata["training"] |= {"steps": 1, "planned_steps": 2}
        (out / "metadata.json").write_text(json.dumps(metadata))
        return ExportOutcome(metadata=read_metadata(out), notes=(), data_notes=("other images",))

    monkeypatch.setattr(open_source, "write_bundle", export)
    monkeypatch.setattr(evaluate, "load_real_images", load)
    monkeypatch.setattr(evaluate, "measure_bundle", lambda bundle, real, **_: opened.append((bundle, real)))
    with caplog.at_level("INFO", "infogan_tool"):
        evaluate.evaluate(run, device="cpu")
    unfinished, other = caplog.messages
    assert unfinished.startswith("note: The training is unfinished: 1 of 2 steps.")
    assert other == "note: other images"
    (source, image), (bundle, _) = opened
    assert source == "kmnist"
    assert image == bundle.image
    assert not bundle.path.exists(), "the bundle was temporary"


def test_bundle_says_what_it_was_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []
    monkeypatch.setattr(evaluate, "load_real_images", lambda source, _, **__: sources.append(source))
    monkeypatch.setattr(evaluate, "measure_bundle", lambda *_, **__: None)
    evaluate.evaluate(TINY, device="cpu")
    evaluate.evaluate(TINY, data="kmnist", device="cpu")
    assert sources == ["mnist", "kmnist"]


def test_bundle_of_other_data_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for training, shown in (
        ({"data": {"name": "my\x1bset"}}, r"'my\\x1bset', which is not a built-in data set"),
        ({}, "a data set without a name"),
        ({"data": []}, "a data set without a name"),
    ):
        bundle = BarBundle("perfect")
        bundle.metadata = type(bundle.metadata)(training=training)
        monkeypatch.setattr(open_source, "load_bundle", lambda *_, bundle=bundle, **__: bundle)
        with pytest.raises(UsageError, match=f"trained on {shown}.*--data"):
            evaluate.evaluate(None)


def test_what_is_neither_bundle_nor_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither a bundle"):
        evaluate.evaluate(tmp_path)
    with pytest.raises(BundleError, match="does not exist"):
        evaluate.evaluate(tmp_path / "nothing")
    with pytest.raises(UsageError, match="at least 100"):
        evaluate.evaluate(TINY, samples=99)


# --- the command -------------------------------------------------------------------------------------------


def test_command_makes_one_call(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Any] = []

    def stub(path: Path | None, **options: Any) -> Results:  # noqa: ANN401 - as given
        options.pop("progress")("half\x1b done")
        calls.append((path, options))
        return results

    monkeypatch.setattr(evaluate, "evaluate", stub)
    given = ["b", "--data", "kmnist", "--samples", "500", "--seed", "4", "--device", "cpu", "--json"]
    assert main(["evaluate", *given]) == 0
    assert calls == [(Path("b"), {"data": "kmnist", "samples": 500, "seed": 4, "device": "cpu"})]
    printed = capsys.readouterr()
    assert json.loads(printed.out) == results.to_dict()
    assert "\x1b" not in printed.err
    assert main(["evaluate"]) == 0
    assert calls[1] == (None, {"data": None, "samples": 10_000, "seed": 0, "device": "auto"})
    assert capsys.readouterr().out.rstrip("\n") == format_results(results)


def test_tables_fit_80_columns_and_show_the_metrics(results: Results) -> None:
    lines = format_results(results).split("\n")
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    for part in (
        "Encoder on real images: k1",
        "accuracy                             1.0000",
        "#0        tall",
        "c1     slant ",
        "c2     stroke width ",
        "c3     no attribute ",
        "predicted values on 200 real images",
        f"{results.information.codes['c1'].lower_bound_nats:.3f}",
        f"{results.generator.distances.frechet:.2f}" if results.generator else "",
        "200 training images (baseline)",
        f"{100 * results.classifier.test_accuracy:.2f} %" if results.classifier else "",
    ):
        assert part in text, part


def test_tables_without_labels() -> None:
    found = measure_bundle(BarBundle("perfect"), real_bars(labels=False), samples=100)
    text = format_results(found)
    assert "bars has no labels" in text
    assert "NMI" not in text
    assert "classifier" not in text


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--samples", "99"], 2, "--samples"),
        (["nothing"], 1, "nothing does not exist"),
        ([str(TINY), "--data", "no-such-set"], 1, "no-such-set"),
        ([str(TINY), "--seed", "-1"], 2, "--seed"),
    ],
)
def test_errors_are_one_line(
    given: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *given]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().split("\n")
    assert line.startswith("error: ")
    assert message in line


def test_missing_extra_names_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXTRA_MODULES, "train", ("no_such_module",))
    assert main(["evaluate"]) == 1
    assert "pip install 'infogan-tool[train]'" in capsys.readouterr().err


def test_tables_of_many_categories_styles_and_long_labels_fit(results: Results) -> None:
    names = tuple(f"a label that goes on and on \x1b[31m {i}" for i in range(14))
    truth = np.arange(140) % 14
    clustering = score_categories(truth, truth, label_of=range(14), label_names=names)
    encoder = replace(results.encoder["k1"], clustering=clustering)
    row = results.styles.codes["c1"]
    many = replace(
        results,
        encoder={"k1": encoder},
        data=replace(results.data, label_names=names),
        generator=None,
        classifier=None,
        styles=replace(results.styles, codes={f"c{i}": row for i in range(1, 8)}),
    )
    lines = format_results(many).split("\n")
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "Confusion matrix" not in text
    assert "#13       a label tha…" in text
    assert text.count("generated   real") == 7, "no heading is cut"
    assert "stroke width" in text
