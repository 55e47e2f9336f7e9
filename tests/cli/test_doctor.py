from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from infogan_tool import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_a_working_installation(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("doctor", "--bundle", tiny)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"infogan-tool {__version__}, python ")
    assert "images generated and encoded" in done.out
    assert done.out.splitlines()[-1].split() == ["ok", "no", "problems", "found"]
    assert cli("doctor").code == 0


def test_json(cli: Callable[..., Any], tiny: Path) -> None:
    done = cli("doctor", "--bundle", tiny, "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["ok"] is True
    assert report["problems"] == []
    assert report["infogan_tool"] == __version__
    assert len(report["onnxruntime"]["packages"]) == 1
    assert report["onnxruntime"]["version"] in report["onnxruntime"]["packages"].values()
    assert list(report["missing_modules"]) == ["train", "report", "ui"]
    assert ("torch" in report["missing_modules"]["train"]) == (find_spec("torch") is None)
    assert report["missing_modules"]["report"] == ([] if find_spec("matplotlib") else ["matplotlib"])
    run = report["bundle"]["runs"]["cpu"]
    assert run["provider"] == "CPUExecutionProvider"
    assert set(run["agreement"]) == {"k1", "k2"}
    assert set(run["correlation"]) == {"c1", "c2", "c3"}


def test_a_broken_bundle_is_a_problem(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    (bundle / "q_encoder.onnx").write_bytes(b"x")
    done = cli("doctor", "--bundle", bundle)
    assert (done.code, done.err) == (1, "")
    assert "problem" in done.out
    assert "is not the file that metadata.json describes" in done.out
    assert "no problems found" not in done.out
    report = json.loads(cli("doctor", "--bundle", bundle, "--json").out)
    assert report["ok"] is False
    assert len(report["problems"]) == 1


def test_a_graph_that_does_not_run_is_a_problem(cli: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny, tmp_path / "bundle")
    shutil.copy(tiny / "q_encoder.onnx", bundle / "generator.onnx")
    data = json.loads((bundle / "metadata.json").read_text())
    data["graphs"]["generator.onnx"] = data["graphs"]["q_encoder.onnx"]
    (bundle / "metadata.json").write_text(json.dumps(data))
    done = cli("doctor", "--bundle", bundle)
    assert done.code == 1
    assert "on cpu     does not run" in done.out
    assert "problem      on cpu: " in done.out


def test_two_onnxruntimes_are_a_problem_with_a_fix(
    cli: Callable[..., Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second distribution, as pip records it: only its metadata is looked at.
    for name in ("onnxruntime", "onnxruntime_gpu"):
        record = tmp_path / f"{name}-1.99.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.99.0\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    done = cli("doctor", "--bundle", tiny)
    assert done.code == 1
    assert "onnxruntime and onnxruntime-gpu are both installed" in done.out
    assert "fix with   pip uninstall -y onnxruntime onnxruntime-gpu\n" in done.out
    assert "fix with   pip install onnxruntime" in done.out


def test_an_onnxruntime_that_cannot_be_imported(
    spawn: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    # What is left when one of two is uninstalled: a folder without its files.
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    done = spawn("doctor", "--bundle", tiny, PYTHONPATH=str(tmp_path))
    assert done.code == 1
    assert "onnxruntime cannot be imported" in done.out
    assert "fix with   pip install onnxruntime" in done.out
    assert "Traceback" not in done.out + done.err
    done = spawn("encode", "x.png", "--bundle", tiny, PYTHONPATH=str(tmp_path))
    assert done.code == 1
    assert done.err.startswith("error: onnxruntime cannot be imported")
    assert "infogan-tool doctor suggests a fix" in done.err
    assert len(done.err.splitlines()) == 1
