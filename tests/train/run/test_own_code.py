"""Whose code runs: a config, a run or a bundle imports nothing that the user has not named."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import numpy as np
import pytest

from infogan_tool.export import export_run
from infogan_tool.runtime import load_bundle
from infogan_tool.train import fit, preset
from infogan_tool.train.engine import registry
from infogan_tool.train.engine.registry import import_module
from infogan_tool.train.infogan.architecture_registry import ARCHITECTURES
from infogan_tool.train.infogan.terms import TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Result

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_network"
SMALL = ["--set", "networks.base_width=4", "--steps", "3", "--batch-size", "16", "--threads", "1"]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example's folder as the current one; what it registers and imports is forgotten afterwards."""
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    yield EXAMPLE
    forget()


def forget() -> None:
    sys.modules.pop("my_nets", None)
    registry._imported.clear()
    ARCHITECTURES._own.clear()
    TERMS._own.clear()


def test_example_is_trained_resumed_exported_and_encoded(
    cli: Callable[..., Result], example: Path, photographs: Path, tmp_path: Path
) -> None:
    assert len((example / "my_nets.py").read_text().splitlines()) < 100
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    start = ["train", "--config", "own.toml", "--data", photographs, "--size", 16, *SMALL, "--out", run]
    done = cli(*start)
    assert done.code == 2
    assert "--import MODULE" in done.err
    assert not run.exists()
    done = cli(*start, "--import", "my_nets")
    assert (done.code, done.out) == (0, ""), done.err
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["Loss/G/mode-seeking"] > 0
    forget()
    for command in (["train", "--resume", run, "--steps", 4], ["export", run, "--out", bundle]):
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        done = cli(*command)
        assert done.code == 2
        assert "there is no architecture 'my-residual'" in done.err
        assert len(done.err.splitlines()) == 1
        assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        done = cli(*command, "--import", "my_nets")
        assert done.code == 0, done.err
        forget()
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 4
    done = cli("encode", next(photographs.glob("*.png")), "-b", bundle, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["categories"][0]["code"] == "k1"
    assert "my_nets" not in sys.modules


def test_example_in_16_and_8_bits(
    cli: Callable[..., Result], example: Path, photographs: Path, tmp_path: Path
) -> None:
    # Without a category: after 3 steps all are about equally likely, and rounding changes the greatest.
    config = preset(
        "compact",
        data={"size": 16},
        latent={"categorical": []},
        networks={"architecture": "my-residual", "base_width": 16},
        schedule={"batch_size": 16, "steps": 3},
    )
    import_module("my_nets")
    run = fit(config, photographs, device="cpu", threads=1)
    bundle = export_run(run, tmp_path / "bundle")
    forget()
    latents, image = bundle.sample(4), next(photographs.glob("*.png"))
    expected, images = bundle.read(image).codes, bundle.generate(latents)
    for precision, tolerance in (("fp16", 0.002), ("int8", 0.1)):
        out = tmp_path / precision
        done = cli("export", bundle.path, "--precision", precision, "--data", photographs, "--out", out, "-q")
        assert (done.code, done.err) == (0, "")
        reduced = load_bundle(out, device="cpu")
        assert reduced.metadata.precision == precision
        assert reduced.read(image).codes == pytest.approx(expected, abs=tolerance)
        np.testing.assert_allclose(reduced.generate(latents), images, atol=tolerance)
    assert example == Path.cwd()


def test_a_name_of_module_and_attribute_needs_the_module_too(
    cli: Callable[..., Result], example: Path, photographs: Path
) -> None:
    start = ["train", "--config", "own.toml", "--data", photographs, "--size", "16", "--dry-run"]
    start += ["--set", "networks.architecture=my_nets:Residual", "--set", "objective.terms={}"]
    done = cli(*start, "--set", "objective.terms.mode-seeking=0")
    assert done.code == 2, "the key is set twice"
    done = cli(*start)
    assert done.code == 2
    assert "add --import my_nets" in done.err
    assert "my_nets" not in sys.modules
    done = cli(*start, "--import", "my_nets")
    assert done.code == 0, done.err
    assert json.loads(done.out)["config"]["networks"]["architecture"] == "my_nets:Residual"
    assert example == Path.cwd()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A folder with a module that leaves a mark, a run and a bundle that name it, and an image."""
    folder = tmp_path_factory.mktemp("hostile")
    mark = folder / "imported"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\ndef make(*_): pass\n")
    tool = [sys.executable, "-m", "infogan_tool"]
    small = ["--preset", "paper", "--data", str(photographs), "--size", "16", *SMALL]
    for command in (
        ["train", *small, "--set", "networks.full_width=8", "--out", "run"],
        ["export", "run", "--out", "bundle"],
    ):
        subprocess.run([*tool, *command], cwd=folder, check=True, capture_output=True)
    for path, table in (
        (folder / "run/config.json", []),
        (folder / "bundle/metadata.json", ["training", "config"]),
    ):
        values = json.loads(path.read_text())
        config = values
        for key in table:
            config = config[key]
        config["networks"]["architecture"] = "evil:make"
        config["objective"]["terms"] = {"evil:make": {"weight": 1.0}}
        config["objective"]["information_update"] = "evil:make"
        path.write_text(json.dumps(values))
    (folder / "evil.toml").write_text('[networks]\narchitecture = "evil:make"\n')
    next(photographs.glob("*.png")).rename(folder / "image.png")
    return folder


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["train", "--config", "evil.toml", "--dry-run"], 2),
        (["train", "--resume", "run", "--steps", "5"], 2),
        (["export", "run", "--out", "exported"], 2),
        (["evaluate", "run"], 2),
        (["report", "run", "--out", "report.html"], 2),
        (["sweep", "--out", "sweep", "--seeds", "0", "--", "--config", "evil.toml"], 2),
        (["encode", "image.png", "-b", "bundle"], 0),
        (["generate", "-b", "bundle", "--out", "generated.png"], 0),
        (["encode", ".", "-b", "bundle", "--out", "codes.csv"], 0),
        (["info", "bundle"], 0),
        (["traverse", "-b", "bundle", "-c", "c1", "--out", "traversed.png"], 0),
    ],
)
def test_a_foreign_run_config_or_bundle_runs_no_code(
    cli: Callable[..., Result], hostile: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], code: int
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.syspath_prepend(str(hostile))
    done = cli(*command)
    assert done.code == code, done.err
    assert not (hostile / "imported").exists()
    assert "evil" not in sys.modules
    if code:
        assert "--import evil" in done.err
        assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(("source", "page"), [("bundle", "model.json"), ("run", "run.json")])
def test_the_explorer_of_a_foreign_run_or_bundle_runs_no_code(hostile: Path, source: str, page: str) -> None:
    command = [sys.executable, "-m", "infogan_tool", "explore", source, "--no-browser", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(hostile)}
    with subprocess.Popen(
        command, cwd=hostile, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+/", line)
        assert found, line + process.stderr.read()
        with urlopen(found[0] + page, timeout=60) as answer:
            assert json.load(answer)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert not (hostile / "imported").exists()
