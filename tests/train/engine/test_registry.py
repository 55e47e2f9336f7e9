"""Names of a config and the objects that they name; nothing is imported but what the user names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine import registry
from infogan_tool.train.engine.registry import Registry, import_module

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = "own_module_of_a_test"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module that says on disk that it was imported."""
    (tmp_path / f"{MODULE}.py").write_text(
        "from pathlib import Path\nfrom shutil import rmtree\n"
        "Path('imported').touch()\nclass Thing: pass\n_private = Thing\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(registry, "_imported", set())
    yield tmp_path
    sys.modules.pop(MODULE, None)


def test_a_name_imports_nothing(folder: Path) -> None:
    things = Registry[object]("thing", {"built-in": 1})
    for name in (f"{MODULE}:Thing", "os:system", "subprocess:Popen"):
        with pytest.raises(UsageError, match=f"add --import {name.partition(':')[0]}"):
            things.get(name)
    assert MODULE not in sys.modules
    assert not (folder / "imported").exists()


def test_a_module_that_the_user_names_is_imported_and_searched(folder: Path) -> None:
    things = Registry[type]("thing", {})
    import_module(MODULE)
    assert (folder / "imported").exists()
    assert things.get(f"{MODULE}:Thing").__name__ == "Thing"
    with pytest.raises(UsageError, match=r"does not define 'Thinx'.*did you mean 'Thing'"):
        things.get(f"{MODULE}:Thinx")
    for foreign in ("rmtree", "Path", "__builtins__"):
        with pytest.raises(UsageError, match="does not define"):
            things.get(f"{MODULE}:{foreign}")


def test_registered_names() -> None:
    things = Registry("thing", {"built-in": 1})
    things.register("mine", 2)
    things.register("mine", 3)
    assert (things.get("built-in"), things.get("mine")) == (1, 3)
    with pytest.raises(UsageError, match=r"did you mean 'mine'.*--import MODULE"):
        things.get("mime")
    with pytest.raises(UsageError, match="part of infogan-tool"):
        things.register("built-in", 4)
    for name in ("", "a:b", "a b", "-a", "a\x1b[0m"):
        with pytest.raises(UsageError, match="cannot be named"):
            things.register(name, 5)


def test_names_of_a_kind_without_attributes(folder: Path) -> None:
    things = Registry[object]("thing", {}, registered_by="register_thing")
    import_module(MODULE)
    assert folder == Path.cwd()
    with pytest.raises(UsageError, match=r"there is no thing .*: register yours by register_thing"):
        things.get(f"{MODULE}:Thing")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("nothing_of_that_name", "", "there is no such module in"),
        ("folder/my_nets.py", "", "try folder.my_nets"),
        ("own.py", "", "try own"),
        ("", "", "takes the name of a module"),
        (MODULE, "1 / 0", "ZeroDivisionError: division by zero"),
        (MODULE, "import sys; sys.exit(3)", "SystemExit: 3"),
        (MODULE, "import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        (MODULE, "def (", "SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_in_one_line(
    folder: Path, name: str, source: str, message: str
) -> None:
    (folder / f"{MODULE}.py").write_text(source)
    with pytest.raises(UsageError) as error:
        import_module(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
