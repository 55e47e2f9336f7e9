"""The package list in pyproject.toml is written by hand: what it leaves out, the wheel leaves out."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import infogan_tool

ROOT = Path(__file__).resolve().parent.parent
TOP = ("train", "export", "runtime", "cli")


def test_every_package_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = {
        "infogan_tool." + ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOP
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found | {"infogan_tool"}


def test_every_python_file_is_in_a_package() -> None:
    files = [path for top in TOP for path in (ROOT / top).rglob("*.py")]
    assert files
    assert not [path for path in files if not (path.parent / "__init__.py").exists()]


def test_constraints_name_no_host_and_pin_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in line and "/" not in line and "@" not in line for line in pins)
    pinned = {line.split("==")[0].lower() for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = ("train", "tensorboard", "ui", "parquet", "ray", "report")
    extras = [d for name in names for d in project["optional-dependencies"][name]]
    wanted = {
        d.split(";")[0].split(">")[0].split("[")[0].strip() for d in [*project["dependencies"], *extras]
    }
    # One of the two onnxruntimes is installed; the other has no pin.
    assert wanted - {"onnxruntime"} <= pinned


def test_the_loggers_are_pinned_too() -> None:
    pins = requirements("constraints-loggers.txt")
    assert all("==" in line and "/" not in line and "@" not in line for line in pins)
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["loggers"]
    assert {one.partition(">")[0] for one in group} <= {line.partition("==")[0] for line in pins}


def requirements(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def test_the_requirements_without_a_gpu_and_the_lowest_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {one.partition(";")[0] for one in project["dependencies"]}
    (gpu,) = (one for one in wanted if one.startswith("onnxruntime-gpu"))
    assert set(requirements("requirements-cpu.txt")) == wanted - {gpu}
    lowest = {one.replace("==", ">=") for one in requirements("constraints-lowest.txt")}
    assert lowest == {one + ".0" * (2 - one.count(".")) for one in wanted - {gpu}}


def test_the_citation_has_the_version_and_the_title() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {infogan_tool.__version__}\n" in text
    assert "\ntitle: infogan-tool\n" in text


def test_every_dependency_has_its_reason() -> None:
    everything = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = everything["project"], everything["dependency-groups"]
    given = [*project["dependencies"], *everything["build-system"]["requires"]]
    for table in (project["optional-dependencies"], groups):
        given += [one for listed in table.values() for one in listed]
    wanted = {one.split(";")[0].split(">")[0].split("[")[0].strip() for one in given}
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Dependencies")[2]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    told = {name.strip() for row in rows[1:] for name in row[1].replace(" or ", ",").split(",")}
    reasons = [row[3].strip() for row in rows]
    assert wanted <= {name.partition(" where")[0] for name in told}
    assert all(reasons)


@pytest.mark.parametrize("part", ["pyarrow", pytest.param("ray", marks=pytest.mark.ray)])
def test_the_parts_that_tests_may_pass_over_are_installed_here(part: str) -> None:
    # The wheel's own tests run without them; here nothing may be passed over for want of them.
    assert find_spec(part)


def test_module_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "infogan_tool", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert infogan_tool.__version__ in done.stdout
