"""The docstring of every package names all of its modules and sub-packages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("runtime", "train", "export", "cli")
    for path in (ROOT / top).rglob("__init__.py")
)

PENDING = {
    "cli",
    "cli/commands",
    "cli/encode",
    "export",
    "export/ood",
    "export/quantization",
    "export/report",
    "export/rewrite",
    "runtime",
    "runtime/bulk",
    "runtime/bulk/decode",
    "runtime/bulk/encode",
    "runtime/bulk/inputs",
    "runtime/bulk/output",
    "runtime/bundle",
    "runtime/images",
    "runtime/inference",
    "runtime/latents",
    "runtime/preprocessing",
    "runtime/storage",
    "train/data",
}
"""Packages whose docstring is not written yet."""


@pytest.mark.parametrize("package", [package for package in PACKAGES if package not in PENDING])
def test_docstring_names_every_module(package: str) -> None:
    folder = ROOT / package
    modules = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = {word for quoted in re.findall(r"`+([^`]+)`+", docstring) for word in re.findall(r"\w+", quoted)}
    assert not modules - {"__init__", "__main__"} - named
