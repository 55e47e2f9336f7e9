"""Modules that are imported, and when, as sys.modules of a new process shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "onnx", "onnxscript", "scipy", "onnxruntime")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_package_is_light() -> None:
    found = modules_after("import infogan_tool.runtime")
    assert not found & {*HEAVY, "numpy", "PIL", "typer", "rich"}


def test_no_module_of_the_runtime_imports_anything_heavy() -> None:
    code = """
import pkgutil, infogan_tool.runtime as runtime
for module in pkgutil.iter_modules(runtime.__path__):
    __import__(f"infogan_tool.runtime.{module.name}")
"""
    assert not modules_after(code) & {*HEAVY, "typer", "rich"}


def test_names_are_imported_on_first_use() -> None:
    code = "from infogan_tool.runtime import LatentSpec, Latents, to_uint8, read_metadata"
    assert not modules_after(code) & {*HEAVY, "PIL"}


def test_inference_runs_without_torch_or_onnx() -> None:
    code = """
import sys
for name in ("torch", "torchvision", "onnx", "onnxscript", "scipy"):
    sys.modules[name] = None  # importing it is an error
from infogan_tool.runtime import load_bundle, to_uint8
bundle = load_bundle()
bundle.encode(to_uint8(bundle.generate(bundle.sample(3)), bundle.image))
sys.modules = {k: v for k, v in sys.modules.items() if v is not None}
"""
    found = modules_after(code)
    assert "onnxruntime" in found
    assert not found & {"torch", "onnx", "typer", "rich"}


@pytest.mark.parametrize("name", ["no_such_name", "_HOMELESS"])
def test_unknown_names_are_attribute_errors(name: str) -> None:
    from infogan_tool import runtime  # noqa: PLC0415

    with pytest.raises(AttributeError, match=name):
        getattr(runtime, name)


def test_every_public_name_exists() -> None:
    from infogan_tool import runtime  # noqa: PLC0415

    for name in runtime.__all__:
        assert getattr(runtime, name) is not None
    assert set(runtime.__all__) <= set(dir(runtime))
