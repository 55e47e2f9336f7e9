"""The documentation names what exists: paths, commands, options, config keys, Python examples.

`make docs` checks the links between pages, and that each page is in a list of docs/README.md.
"""

from __future__ import annotations

import builtins
import doctest
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from infogan_tool import export, runtime, train
from infogan_tool.cli.app import app
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import resolve_config

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("runtime", "train", "export", "cli")
PLACES = (*PACKAGES, "docs", "tests", "benchmarks", "examples")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
# The changelog names what has been renamed or removed.
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md" and "node_modules" not in page.parts]
IDS = [str(page.relative_to(ROOT)) for page in CURRENT]
pages = pytest.mark.parametrize("page", CURRENT, ids=IDS)


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def code_blocks(page: Path) -> list[str]:
    """Return the indented and the fenced blocks of code of a page, without their indentation."""
    text = page.read_text("utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?:^ {4}.*\n(?:\s*\n(?= {4}))?)+", text, flags=re.MULTILINE)
    return fenced + [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented]


def fenced_blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


# --- paths and terms -------------------------------------------------------------------------------------


@pages
def test_every_path_exists(page: Path) -> None:
    place = rf"(?<![\w./-])(?:{'|'.join(PLACES)})/"
    named = re.findall(rf"{place}[\w./-]+\.\w+|{place}(?:[\w./-]+/)?(?=`)", page.read_text("utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_page_that_code_names_exists() -> None:
    suffixes = {".py", ".js", ".mjs", ".ts", ".toml", ".html", ".css"}
    files = [
        path
        for place in PLACES
        for path in (ROOT / place).rglob("*")
        if path.suffix in suffixes and "node_modules" not in path.parts
    ]
    dead = {
        f"{path.relative_to(ROOT)}: {named}"
        for path in [*files, ROOT / "Makefile", ROOT / "pyproject.toml"]
        for named in re.findall(r"\bdocs/[\w./-]+\.(?:md|png|svg|py)\b", path.read_text("utf-8"))
        if not (ROOT / named).exists()
    }
    assert not dead


def test_every_module_that_docs_name_in_short_exists() -> None:
    everything = {path.name for place in PLACES for path in (ROOT / place).rglob("*.*")}
    named = {
        name for page in CURRENT for name in re.findall(r"`([\w-]+\.(?:py|js|mjs))`", page.read_text("utf-8"))
    }
    assert named <= everything


@pages
def test_pages_use_the_terms_of_the_field(page: Path) -> None:
    private = (
        r"pictures?|strangers?|familiar|judge[sd]?|recipes?|game|second best|made up|not sure|laid out"
        r"|looks on|stands still|begins anew|goes on with"
    )
    assert not re.findall(rf"\b(?:{private})\b", page.read_text("utf-8"), flags=re.IGNORECASE)


# --- the command line ------------------------------------------------------------------------------------


def command_lines(page: Path) -> Iterator[str]:
    """Yield each call of infogan-tool that a page shows, from its first word on."""
    lines = [line for block in code_blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    inline = [code for code in re.findall(r"`([^`\n]+)`", prose(page)) if code.startswith("infogan-tool ")]
    for line in lines + inline:
        for part in re.split(r"&&|\|(?![\w|])", re.sub(r"(^|\s)#.*", "", line)):
            call = re.search(r"(?:infogan-tool|-m infogan_tool) +(?=[a-z-])(.*)", part)
            if call:
                yield re.sub(r" \d?>.*$", "", call[1])


def root_options(group: typer.core.TyperGroup) -> set[str]:
    """Return the options of ``infogan-tool`` itself."""
    return {"--help", *(option for parameter in group.params for option in parameter.opts)}


@pages
def test_every_command_line_is_accepted(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    root = group.make_context("infogan-tool", [], resilient_parsing=True)
    for line in command_lines(page):
        name, *arguments = shlex.split(line)
        if name in root_options(group) or "--help" in arguments:
            continue
        assert name in group.commands, line
        if not arguments:
            continue  # the name of a command in a sentence
        try:
            group.commands[name].make_context(name, arguments, parent=root)
        except Exception as error:  # noqa: BLE001 - Typer's own have no public names
            pytest.fail(f"{line}: {error}")


@pages
def test_every_option_in_prose_exists(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    options = root_options(group)
    for command in group.commands.values():
        for parameter in command.params:
            options |= {*parameter.opts, *parameter.secondary_opts}
    for script in [
        *(ROOT / "benchmarks").glob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "docs").glob("*.py"),
    ]:
        options |= set(re.findall(r'"(--[\w-]+)"', script.read_text("utf-8")))
    options |= {
        "--nproc-per-node",
        "--max-restarts",
        "--nnodes",
        "--timeout",
        "--compile-bytecode",
        "--override",
        "--no-deps",
    }  # of torchrun, pytest, uv and pip
    named = {
        code
        for text in re.findall(r"`([^`\n]+)`", prose(page))
        for code in re.findall(r"--[a-z][\w-]+", text)
    }
    assert named <= options


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    for page in CURRENT:
        named = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", page.read_text("utf-8"), flags=re.MULTILINE))
        assert named <= targets, page


# --- the config ------------------------------------------------------------------------------------------


@pages
def test_every_config_key_exists(page: Path) -> None:
    reference = (ROOT / "docs" / "reference" / "config.md").read_text("utf-8")  # made from the schema
    keys = re.findall(r"^\| `([\w.]+)` \|", reference, flags=re.MULTILINE)
    tables = {key.partition(".")[0] for key in keys if "." in key} - {"data"}
    if page.name == "evaluation.md":
        tables.remove("clustering")  # a key of an evaluation has this name too
    for named in re.findall(rf"`((?:{'|'.join(tables)})(?:\.[\w*]+)+)", page.read_text("utf-8")):
        pattern = re.escape(named).replace(r"\*", r"\w+")
        assert any(re.match(rf"{pattern}(?:\.|$)", key) for key in keys), f"{named} in {page.name}"


@pages
def test_every_config_file_is_valid(page: Path) -> None:
    for block in fenced_blocks(page, "toml"):
        values = tomllib.loads(block)
        base = resolve_config(
            preset=values.get("preset", "mnist" if "clustering" in values else "paper")
        ).to_dict()
        validate_config(deep_merge(base, values))


def test_the_generated_reference_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what commands write -----------------------------------------------------------------------------------


def leaves(values: dict[str, Any]) -> Iterator[str]:
    """Yield the innermost keys of nested tables."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield key


def test_the_page_of_the_bundle_format_has_every_key_of_the_metadata() -> None:
    text = (ROOT / "docs" / "reference" / "bundle.md").read_text("utf-8")
    metadata = json.loads((ROOT / "runtime" / "models" / "mnist-int8" / "metadata.json").read_text())
    keys = {*metadata, *metadata["latent"], *metadata["image"], *metadata["drift"]}
    assert not [key for key in keys if f"`{key}`" not in text]


def test_the_page_of_the_run_folder_has_every_metric() -> None:
    text = (ROOT / "docs" / "reference" / "run-folder.md").read_text("utf-8")
    log = (ROOT / "runtime" / "models" / "mnist" / "training" / "metrics.jsonl").read_text()
    keys = {key for line in log.splitlines() for key in json.loads(line)}
    assert not [key for key in keys - {"MI/c2"} if f"`{key}`" not in text]


def test_the_page_of_evaluation_has_every_key() -> None:
    text = (ROOT / "docs" / "reference" / "evaluation.md").read_text("utf-8")
    report = json.loads((ROOT / "runtime" / "models" / "mnist" / "training" / "evaluation.json").read_text())
    results = {name: report[name] for name in ("encoder", "information", "round_trip", "styles", "generator")}
    keys = set(leaves(results)) - {"k1"}
    assert not [key for key in keys if not re.search(rf"[`.]{key}`", text)]


# --- Python ----------------------------------------------------------------------------------------------


@pages
def test_every_python_example_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = fenced_blocks(page, "python")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("javascript"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    names: dict[str, object] = {"__name__": "example"}
    for block in blocks:
        # The examples of a page continue each other.
        exec(compile(block, str(page), "exec"), names)
    capsys.readouterr()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_docstring_example_runs(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for path in (ROOT / package).rglob("*.py"):
        if "\n>>> " in path.read_text("utf-8"):
            name = ".".join(("infogan_tool", *path.relative_to(ROOT).with_suffix("").parts))
            result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
            assert result.attempted > 0 == result.failed, name


def test_the_api_page_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    names = [*runtime.__all__, *train.__all__, *export.__all__]
    assert not [name for name in names if not re.search(rf"`{name}[`(.]", text)]


def test_every_error_that_docs_name_is_public() -> None:
    public = {*dir(builtins), *runtime.__all__, *train.__all__}
    named = {name for page in CURRENT for name in re.findall(r"`(\w+Error)`", page.read_text("utf-8"))}
    assert "CallbackError" in named <= public
    assert all(issubclass(getattr(train, name), Exception) for name in train.__all__ if "Error" in name)


def test_notebooks_are_kept_without_outputs() -> None:
    notebooks = list((ROOT / "examples").rglob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")], path
