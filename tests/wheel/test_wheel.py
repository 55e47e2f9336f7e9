"""The wheel alone: what is in it, and that inference runs where torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import infogan_tool
from infogan_tool.cli.explorer.description import PAGE_FILES

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "infogan-tool"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, cwd=cwd, check=False)


def test_only_the_wheel_is_here() -> None:
    assert "site-packages" in infogan_tool.__file__
    for name in ("torch", "torchvision", "onnx", "onnxscript", "scipy", "safetensors"):
        assert find_spec(name) is None, name


def test_content_is_code_models_and_data_only() -> None:
    (wheel,) = (ROOT / "build/wheel/dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if ".dist-info/" not in n]
        sizes = {n: archive.getinfo(n).file_size for n in names}
    assert {Path(n).suffix for n in names} == {
        *(".py", ".typed", ".onnx", ".json", ".gz", ".md"),
        *(".html", ".css", ".js", ".svg", ".png"),
    }
    page = {Path(n).name for n in names if "/explorer/page/" in n}
    assert page == set(PAGE_FILES)
    assert {n.split("/")[0] for n in names} == {"infogan_tool"}
    assert not [n for n in names if Path(n).name.startswith(("test_", "conftest"))]
    for model, most in (("mnist", 10_000_000), ("mnist-int8", 4_000_000)):
        files = {
            Path(n).name: s for n, s in sizes.items() if Path(n).parent.name == model and "/models/" in n
        }
        assert files.keys() - {"examples.png"} == {"generator.onnx", "metadata.json", "q_encoder.onnx"}
        assert sum(files.values()) <= most
    assert {Path(n).parts[3] for n in names if "/models/" in n} == {"mnist", "mnist-int8"}
    data = [n for n in names if n.endswith(".gz")]
    assert len(data) == 4
    assert "infogan_tool/py.typed" in names


def test_every_file_is_one_of_the_sources_and_none_is_missing() -> None:
    """Nothing of an earlier build, no test and no note of anybody's is in it."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    expected = {}
    for package in setuptools["packages"]:
        top = next(t for t in sorted(setuptools["package-dir"], key=len)[::-1] if package.startswith(t))
        inner = package.removeprefix(top).strip(".").replace(".", "/")
        folder = ROOT / setuptools["package-dir"][top] / inner
        patterns = ["*.py", *setuptools["package-data"].get(package, [])]
        found = [path for pattern in patterns for path in folder.glob(pattern)]
        expected |= {f"{package.replace('.', '/')}/{path.relative_to(folder)}": path for path in found}
    (wheel,) = (ROOT / "build/wheel/dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names == expected.keys()
        assert not [name for name in names if archive.read(name) != expected[name].read_bytes()]
        about = {n.partition(".dist-info/")[2] for n in archive.namelist() if ".dist-info/" in n}
    licences = {"licenses/LICENSE", "licenses/train/data/mnist/LICENSE.md"}
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", *licences}


def test_main_job(tmp_path: Path) -> None:
    digits = sorted(str(p) for p in (ROOT / "examples").glob("*.png"))
    done = run("encode", *digits, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(Path(d).name in done.stdout for d in digits)
    assert run("generate", "--count", "4", "--seed", "1", "--out", "g.png", cwd=tmp_path).returncode == 0
    assert run("traverse", "--code", "c1", "--out", "t.png", cwd=tmp_path).returncode == 0
    assert run("info", cwd=tmp_path).returncode == 0
    done = run("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"g.png", "t.png"}


@pytest.mark.parametrize("arguments", [["train"], ["export", "run", "--out", "b"]])
def test_training_says_how_to_install_it(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "pip install 'infogan-tool[train]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_runtime_loads_no_torch_even_where_it_would_be_found() -> None:
    code = "import sys, infogan_tool.runtime as r; r.load_bundle(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_explorer_says_what_it_needs(tmp_path: Path) -> None:
    done = run("explore", "--no-browser", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: infogan-tool explore needs more packages: pip install 'infogan-tool[ui]'\n"
