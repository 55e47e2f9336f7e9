"""Each package's docstring lists its modules, and no module imports itself through others."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("runtime", "train", "export", "cli")
    for path in sorted((ROOT / top).rglob("*.py"))
}
"""Every module by its name below ``infogan_tool``."""
PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py"]


def docstring(package: str) -> str:
    return ast.get_docstring(ast.parse(FILES[package].read_text(encoding="utf-8"))) or ""


@pytest.mark.parametrize("package", PACKAGES)
def test_docstring_lists_every_module(package: str) -> None:
    # A small package may be listed by the one around it, as those of runtime.bulk are.
    text = docstring(package) + "\n" + docstring(package.rpartition(".")[0] or package)
    members = {name.rpartition(".")[2] for name in FILES if name.rpartition(".")[0] == package}
    assert members or package == "cli"
    first_words = re.findall(r"^\s*`*(\w+)", text, re.MULTILINE)
    quoted = [word for part in re.findall(r"`+([^`]+)`+", text) for word in re.findall(r"\w+", part)]
    listed = {*first_words, *quoted}
    assert not members - listed


def imports_of(name: str) -> set[str]:
    """Return the modules that a module imports anywhere in it, those for type checkers included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("infogan_tool."):
            module = node.module.removeprefix("infogan_tool.")
            members = {f"{module}.{alias.name}" for alias in node.names}
            found |= {member if member in FILES else module for member in members}
    return found & FILES.keys() - {name}


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imports_of(name) for name in FILES}
    assert sum(map(len, graph.values())) > len(FILES)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules
