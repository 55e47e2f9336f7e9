"""``infogan-tool name``: contact sheets, a TOML file, the prompt, and the names in other commands."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime import read_metadata
from infogan_tool.runtime.bundle.metadata import GRAPH_FILES, METADATA_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result


@pytest.fixture
def bundle(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "bundle")


class Terminal(io.StringIO):
    """Standard input as typed at a terminal."""

    def isatty(self) -> bool:
        return True


def test_names_from_a_file_reach_every_command(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path, images: list[Path]
) -> None:
    before = {file: (bundle / file).read_bytes() for file in GRAPH_FILES}
    names = tmp_path / "names.toml"
    # With the mark that editors of Windows put first.
    names.write_text('[categories.k1]\n0 = "cat"\n1 = "dog"\n3 = "cat"\n[styles]\nc2 = "size"\n', "utf-8-sig")
    result = cli("name", bundle, "--names", names)
    assert result.code == 0, result.err
    assert "k1: #0, #3 are merged as cat; its probability is the sum of theirs" in result.err
    assert {file: (bundle / file).read_bytes() for file in GRAPH_FILES} == before

    records = [json.loads(line) for line in cli("encode", "-b", bundle, *images, "--json").out.splitlines()]
    assert all(record["styles"][1]["name"] == "size" for record in records)
    codes = [record["categories"][0] for record in records]
    assert {code["label"] for code in codes} <= {"cat", "dog", None}
    for code in codes:
        table = code["probabilities"]
        expected = table[0] + table[3] if code["label"] == "cat" else table[code["index"]]
        assert code["confidence"] == pytest.approx(expected, abs=2e-6)
    assert "c2 size" in cli("encode", "-b", bundle, images[0]).out
    assert "#0=cat, #1=dog, #3=cat" in cli("info", bundle).out

    out = tmp_path / "cats"
    assert cli("generate", "-b", bundle, "--category", "cat", "--style", "size=0.5", "--out", out).code == 0
    listed = [json.loads(line) for line in (out / "codes.jsonl").read_text("utf-8").splitlines()]
    assert {record["categories"][0]["index"] for record in listed} == {0, 3}
    assert {record["styles"][1]["value"] for record in listed} == {0.5}
    assert cli("traverse", "-b", bundle, "--code", "size", "--out", tmp_path / "size.png").code == 0


def test_template_on_standard_output_round_trips(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path
) -> None:
    names = tmp_path / "names.toml"
    names.write_text('[categories.k1]\n0 = "a \\"quoted\\" name"\n', "utf-8")
    assert cli("name", bundle, "--names", names).code == 0
    written = (bundle / METADATA_FILE).read_bytes()
    template = cli("name", bundle)
    assert template.code == 0
    assert tomllib.loads(template.out)["categories"]["k1"]["0"] == 'a "quoted" name'
    names.write_text(template.out, "utf-8")
    assert cli("name", bundle, "--names", names).code == 0
    assert (bundle / METADATA_FILE).read_bytes() == written


def test_contact_sheets(cli: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "sheets"
    result = cli("name", "mnist", "--out", out)
    assert result.code == 0, result.err
    page = (out / "contact-sheets.html").read_text("utf-8")
    assert page.count("<h2>") == 12  # 10 categories and 2 styles
    assert page.count(">generated images<") == 10
    assert page.count("<h2>Category #") == 10
    assert re.search(r"Changes slant: r = [+-]0\.\d\d on generated images", page)
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    names = tomllib.loads((out / "names.toml").read_text("utf-8"))["categories"]["k1"]
    assert sorted(names.values()) == list("0123456789")
    again = cli("name", "mnist", "--out", out)
    assert (again.code, "already exists" in again.err) == (1, True)


def test_sheets_have_the_names_that_are_given_with_them(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path
) -> None:
    names, sheets = tmp_path / "names.toml", tmp_path / "sheets"
    for name in ("cat", "dog"):
        names.write_text(f'[categories.k1]\n0 = "{name}"\n', "utf-8")
        assert cli("name", bundle, "--names", names, "--out", sheets).code == (1 if name == "dog" else 0)
    assert tomllib.loads((sheets / "names.toml").read_text("utf-8"))["categories"]["k1"]["0"] == "cat"
    assert "cat" in (sheets / "contact-sheets.html").read_text("utf-8")
    assert read_metadata(bundle).labels["k1"][0] == "cat", "the second call is refused before it names"


def test_a_terminal_is_not_asked_for_names_while_sheets_are_written(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle / METADATA_FILE).read_bytes()
    monkeypatch.setattr(sys, "stdin", Terminal("cat\n" * 20))
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    result = cli("name", bundle, "--out", tmp_path / "sheets")
    assert result.code == 0, result.err
    assert f"--names {tmp_path / 'sheets' / 'names.toml'}" in result.err
    assert (bundle / METADATA_FILE).read_bytes() == before


def test_a_label_that_no_name_may_be_can_be_kept(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = json.loads((bundle / METADATA_FILE).read_text("utf-8"))
    metadata["labels"] = {"k1": ["x" * 70, "#3", None, "cat"]}
    (bundle / METADATA_FILE).write_text(json.dumps(metadata), "utf-8")
    labels = read_metadata(bundle).labels["k1"]
    names = tmp_path / "names.toml"
    names.write_text(cli("name", bundle).out, "utf-8")
    result = cli("name", bundle, "--names", names)
    assert result.code == 0, result.err
    monkeypatch.setattr(sys, "stdin", Terminal("\n" * 10))
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    assert cli("name", bundle).code == 0
    assert read_metadata(bundle).labels["k1"] == labels == ("x" * 70, "#3", None, "cat")


def test_prompt(cli: Callable[..., Result], bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # k1 has four categories, k2 three; then c1 to c3. The second answer is refused and asked for again.
    answers = ["cat", "\x1b[2J", "dog", "", "", "", "-", "", "size", "", ""]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(answers) + "\n"))
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    result = cli("name", bundle)
    assert result.code == 0, result.err
    assert "error: the name of k1 #1, \\x1b[2J, has a character that cannot be printed" in result.err
    metadata = read_metadata(bundle)
    assert metadata.labels["k1"] == ("cat", "dog", None, None)
    assert metadata.style_names == {"c1": "size", "c2": None, "c3": None}


def test_prompt_asks_again_for_a_name_that_another_style_has(
    cli: Callable[..., Result], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [*[""] * 7, "size", "size", "shape", ""]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(answers) + "\n"))
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    result = cli("name", bundle)
    assert result.code == 0, result.err
    assert "error: another style is named 'size'" in result.err
    assert read_metadata(bundle).style_names == {"c1": "size", "c2": "shape", "c3": None}


def test_prompt_keeps_a_name_that_two_styles_have(
    cli: Callable[..., Result], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = json.loads((bundle / METADATA_FILE).read_text("utf-8"))
    metadata["style_names"] = {"c1": "slant", "c2": "slant", "c3": None}
    (bundle / METADATA_FILE).write_text(json.dumps(metadata), "utf-8")
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    for answers, c2, c3 in ((["", "", "slant", ""], "slant", None), (["slant", "size", ""], "size", None)):
        monkeypatch.setattr(sys, "stdin", Terminal("\n".join([*[""] * 7, *answers]) + "\n"))
        result = cli("name", bundle)
        assert result.code == 0, result.err
        assert read_metadata(bundle).style_names == {"c1": "slant", "c2": c2, "c3": c3}


def test_sheets_of_the_pretrained_bundle_are_written_on_a_terminal_too(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    result = cli("name", "mnist", "--out", tmp_path / "sheets")
    assert result.code == 0, result.err
    assert (tmp_path / "sheets/names.toml").exists()
    assert cli("name", "mnist").code == 2


def test_interrupted_prompt_changes_nothing(
    cli: Callable[..., Result], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle / METADATA_FILE).read_bytes()
    monkeypatch.setattr(sys, "stdin", Terminal("cat\n"))  # then the end of the input
    monkeypatch.setattr("infogan_tool.cli.commands.name._is_terminal", lambda: True)
    assert cli("name", bundle).code == 130
    assert (bundle / METADATA_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "utf-8"),
        (b"[categories", "names.toml: "),
        (b'[categories.k1]\n0 = "a\\u001b[2Jb"', "a\\x1b[2Jb, has a character that cannot be printed"),
        (b'[categories.k1]\n0 = "' + b"x" * 61 + b'"', "61 characters; at most 60 are allowed"),
        (b"[categories.k1]\n0 = 7", "must be a text"),
        (b'[categories.k7]\n0 = "x"', "categories has no 'k7'"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "names.toml: "),
        (b"#" * 1_000_001, "larger than"),
    ],
)
def test_hostile_files_are_refused(
    cli: Callable[..., Result], bundle: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    before = (bundle / METADATA_FILE).read_bytes()
    names = tmp_path / "names.toml"
    names.write_bytes(content)
    result = cli("name", bundle, "--names", names)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.err.removesuffix("\n").isprintable()
    assert (bundle / METADATA_FILE).read_bytes() == before


def test_refused(cli: Callable[..., Result], bundle: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.toml"
    names.write_text('[styles]\nc1 = "x"\n', "utf-8")
    for arguments, message in (
        (["mnist", "--names", names], "mnist belongs to the installation of infogan-tool"),
        ([bundle, "--data", "mnist"], "--data goes with --out"),
        ([tmp_path / "none", "--names", names], "is not the folder of a bundle"),
    ):
        result = cli("name", *arguments)
        assert result.code == 2
        assert message in result.err
