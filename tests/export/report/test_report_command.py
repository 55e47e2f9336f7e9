"""``report``: the command, and a page of a trained run and a bundle with real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_entries import Tags, write_bundle, write_run

from infogan_tool.cli.extras import EXTRA_MODULES
from infogan_tool.cli.main import main
from infogan_tool.export.evaluation.classifier import ClassifierSettings
from infogan_tool.export.report import write as write_module
from infogan_tool.export.report.page import _introduction
from infogan_tool.export.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = Path(__file__).parents[2] / "fixtures" / "tiny"


pytestmark = pytest.mark.usefixtures("_bare_machine")


def test_trained_run_and_bundle_with_real_images(run_path: Path, digits: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "page.html", tmp_path / "figures"
    entries = write_report(
        [run_path, TINY],
        out,
        figures=figures,
        data=str(digits),
        samples=120,
        device="cpu",
        classifier=ClassifierSettings(steps=5, batch_size=50),
    )
    run, bundle = entries
    assert [entry.kind for entry in entries] == ["run", "bundle"]
    assert run.notes == bundle.notes == ()
    assert run.model is not None
    assert run.model.results is not None
    assert 0 <= (run.model.correctness or 0.0) <= 1
    assert (run.model.relative_sharpness or 0) > 0
    files = {path.name for path in figures.iterdir()}
    every = "losses probabilities information evolution generated real traversal-k1 traversal-c1 traversal-c2"
    every += " effects confusion-k1 recovery-c1 recovery-c2 attributes"
    assert {f"1-run-{name}.png" for name in every.split()} <= files
    assert {f"2-tiny-{name}.png" for name in ("confusion-k2", "traversal-c3", "attributes")} <= files
    assert {"comparison.png", "1-run-training.webp"} <= files
    page = out.read_text(encoding="utf-8")
    text = Tags(page).text
    for word in (
        "Accuracy on real images",
        "200 real test images of digits, 120 generated images",
        "adversarial",
    ):
        assert word in text, word
    assert f"{run.model.results.encoder['k1'].clustering.accuracy:.4f}" in text
    assert len(page) < 3_000_000
    assert bundle.results is not None
    letters = replace(bundle.results, data=replace(bundle.results.data, name="letters"))
    other = replace(bundle, model=replace(bundle.model, results=letters))
    introduction = _introduction([run, other])
    assert "run: 200 real test images of digits; tiny: 200 real test images of letters. Acc" in introduction
    assert "do not compare" in introduction
    assert "do not compare" not in text


# --- the command -------------------------------------------------------------------------------------------


def test_command_makes_one_call(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def write(paths: list[Path], out: Path, **options: Any) -> list[Any]:  # noqa: ANN401 - as given
        options.pop("progress")("half\x1b done")
        calls.append((paths, out, options))
        return []

    monkeypatch.setattr(write_module, "write_report", write)
    page, figures = tmp_path / "r.html", tmp_path / "f"
    given = ["--data", "kmnist", "--samples", 500, "--seed", 4, "--device", "cpu", "--epochs", "0,2.5"]
    done = cli("report", "a", "b", "--out", page, "--figures", figures, *given, "--force")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(f"wrote {page} and {figures}\n")
    assert "\x1b" not in done.err
    options = {"data": "kmnist", "samples": 500, "seed": 4, "device": "cpu", "epochs": [0.0, 2.5]}
    assert calls == [([Path("a"), Path("b")], page, {"figures": figures, "force": True, **options})]
    assert cli("report", "--out", page).code == 0
    options = {"data": None, "samples": 10_000, "seed": 0, "device": "auto", "epochs": None, "force": False}
    assert calls[1] == ([], page, {"figures": None, **options})


def test_notes_are_printed(cli: Callable[..., Any], tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tail="cut")
    unfinished = {"steps": 1, "planned_steps": 2, "stages": []}
    bundle = write_bundle(tmp_path / "bundle", TINY, training=unfinished)
    done = cli("report", run, bundle, "--out", tmp_path / "r.html", "--device", "cpu")
    assert (done.code, done.out) == (0, "")
    lines = done.err.splitlines()
    assert lines[0] == "run: unreadable lines in metrics.jsonl: 1"
    assert lines[1].startswith("run: the run cannot generate images")
    assert lines[2].startswith("bundle: The training is unfinished: 1 of 2 steps.")
    assert lines[3].startswith("bundle: the bundle was trained on a data set without a name")
    assert lines[4] == f"wrote {tmp_path / 'r.html'}"
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--out", "r.pdf"], 2, "must end in .html"),
        (["--out", "no/such/r.html"], 2, "does not exist; create it first"),
        (["--out", "r.html", "--epochs", "1,x"], 2, "--epochs 1,x: give 1 to 24 numbers"),
        (["--out", "r.html", "--epochs", "nan"], 2, "--epochs nan"),
        (["--out", "r.html", "--epochs", "-1"], 2, "--epochs"),
        (["--out", "r.html", "--samples", "9"], 2, "--samples"),
        (["--out", "r.html", "nothing"], 1, "nothing does not exist"),
        (["--out", "r.html", *"abcdefg"], 2, "at most 6"),
        (["--out", "r.html", str(TINY), "--data", "no-such-set"], 1, "no-such-set"),
        ([], 2, "Missing option '--out'"),
    ],
)
def test_errors_are_one_line(
    cli: Callable[..., Any], empty_folder: Path, given: list[str], code: int, message: str
) -> None:
    done = cli("report", *given)
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.strip().split("\n")
    assert line.startswith("error: ")
    assert message in line
    assert not (empty_folder / "r.html").exists()


def test_missing_extra_names_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for extra in ("report", "train"):
        with monkeypatch.context() as patch:
            patch.setitem(EXTRA_MODULES, extra, ("no_such_module",))
            assert main(["report", "--out", str(tmp_path / "r.html")]) == 1
        assert f"pip install 'infogan-tool[{extra}]'" in capsys.readouterr().err
