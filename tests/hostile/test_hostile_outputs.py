"""Commands write only the named outputs, replace nothing without --force, and follow no links."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.bulk.output.resumable import Resumable, journal_path, part_path
from infogan_tool.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

DIGITS = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.png"))
KEPT = "not to be touched"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, beside others that hold something."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "victim").write_text(KEPT)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


COMMANDS = {
    "encode csv": (["encode", str(DIGITS[0])], "codes.csv"),
    "encode jsonl": (["encode", str(DIGITS[0])], "codes.jsonl"),
    "encode many": (["encode", *map(str, DIGITS * 7)], "codes.csv"),
    "generate": (["generate", "--count", "2"], "sheet.png"),
    "traverse": (["traverse", "--code", "c1", "--steps", "2"], "sheet.png"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_only_what_was_named(name: str, place: Path, cli: Callable[..., Result]) -> None:
    command, target = COMMANDS[name]
    before = everything(place.parent)
    done = cli(*command, "--out", target)
    assert done.code == 0, done.err
    after = everything(place.parent)
    assert after.keys() - before.keys() == {f"here/{target}"}
    assert before.items() <= after.items()

    Path(target).write_text(KEPT)
    done = cli(*command, "--out", target)
    assert (done.code, Path(target).read_text()) == (1, KEPT)
    assert "already exists" in done.err
    assert cli(*command, "--out", target, "--force").code == 0
    assert Path(target).read_bytes() == after[f"here/{target}"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_link_in_place_of_the_output(name: str, place: Path, cli: Callable[..., Result]) -> None:
    command, target = COMMANDS[name]
    victim = place.parent / "outside" / "victim"
    for other in (target, f"{target}.part", f"{target}.part.journal"):
        Path(other).symlink_to(victim)
    assert cli(*command, "--out", target).code == 1
    done = cli(*command, "--out", target, "--force")
    assert done.code == 0, done.err
    assert victim.read_text() == KEPT
    assert not Path(target).is_symlink()
    Path(target).unlink()
    Path(target).symlink_to("nowhere")  # which leads to nothing that is there
    assert cli(*command, "--out", target).code == 1
    assert not (place / "nowhere").exists()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_an_unfinished_run_that_somebody_has_set_up(place: Path, cli: Callable[..., Result]) -> None:
    victim = place.parent / "outside" / "victim"
    Path("codes.csv.part").symlink_to(victim)
    journal = {
        "identity": {},
        "targets": ["codes.csv"],
        "lengths": [0],
        "inputs": 0,
        "failed": 0,
        "digest": "",
        "complete": False,
        "version": 1,
    }
    changes: list[dict[str, object]] = [
        {},
        *({"identity": wrong} for wrong in (None, [], "x")),
        *({"lengths": wrong} for wrong in (None, [-1], ["0"], [2**70], [0, 0])),
        *({"targets": wrong} for wrong in (None, [7], ["../outside/victim"])),
        *({"inputs": wrong} for wrong in (None, -5, "1")),
        *({"digest": wrong} for wrong in (None, "zz", 7)),
        *({"complete": wrong} for wrong in (None, "yes")),
        *({"version": wrong} for wrong in (None, 99)),
    ]
    for change in changes:
        Path("codes.csv.part.journal").write_text(json.dumps(journal | change))
        done = cli("encode", *map(str, DIGITS * 7), "--out", "codes.csv", "--resume")
        assert done.code == 2, (change, done.err)
        assert done.err.count("\n") == 1
    assert victim.read_text() == KEPT


def test_a_part_that_is_a_link_is_not_written_to(place: Path) -> None:
    victim = place.parent / "outside" / "victim"
    with Resumable.open([Path("codes.csv")], {}, resume=False, force=False) as output:
        output.save()
    assert journal_path(Path("codes.csv")).exists()
    part_path(Path("codes.csv")).unlink()
    part_path(Path("codes.csv")).symlink_to(victim)
    with (
        pytest.raises(UsageError, match="is a symbolic link"),
        Resumable.open([Path("codes.csv")], {}, resume=True, force=False),
    ):
        pass
    assert victim.read_text() == KEPT


# --- folders -----------------------------------------------------------------------------------------------


def test_generate_leaves_no_older_images_behind(place: Path, cli: Callable[..., Result]) -> None:
    assert cli("generate", "--count", "5", "--out", "d").code == 0
    Path("d/notes.txt").write_text(KEPT)
    Path("d/99999.png").write_text(KEPT)  # named like ours, and in no list
    assert cli("generate", "--count", "2", "--seed", "1", "--out", "d").code == 1
    done = cli("generate", "--count", "2", "--seed", "1", "--out", "d", "--force")
    assert done.code == 0, done.err
    assert {p.name for p in Path("d").iterdir()} == {
        *("00000.png", "00001.png", "codes.jsonl"),
        *("notes.txt", "99999.png"),
    }
    assert Path("d/99999.png").read_text() == Path("d/notes.txt").read_text() == KEPT
    listed = [json.loads(line) for line in Path("d/codes.jsonl").read_text().splitlines()]
    assert [(record["file"], record["seed"]) for record in listed] == [("00000.png", 1), ("00001.png", 1)]


def test_a_hostile_list_removes_nothing_else(place: Path, cli: Callable[..., Result]) -> None:
    Path("d").mkdir()
    names = ["../outside/victim", "/etc/hostname", "../../x/00001.png", "notes.txt", "00007.png/../victim"]
    lines = [json.dumps({"file": name}) for name in names] + ["[" * 100_000, '{"file": 3}', "\x00\xff" * 9]
    Path("d/codes.jsonl").write_text("\n".join(lines), "utf-8")
    Path("d/notes.txt").write_text(KEPT)
    assert cli("generate", "--count", "2", "--out", "d", "--force").code == 0
    assert (place.parent / "outside" / "victim").read_text() == KEPT
    assert Path("d/notes.txt").read_text() == KEPT


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX's")
def test_a_list_that_is_a_pipe_is_not_waited_for(place: Path, cli: Callable[..., Result]) -> None:
    Path("d").mkdir()
    os.mkfifo("d/codes.jsonl")
    done = cli("generate", "--count", "2", "--out", "d", "--force")
    assert (done.code, "it is not a regular file" in done.err) == (1, True)
    assert [p.name for p in place.rglob("*")] == ["d", "codes.jsonl"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_within_a_folder_are_replaced_and_not_followed(place: Path, cli: Callable[..., Result]) -> None:
    victim = place.parent / "outside" / "victim"
    assert cli("generate", "--count", "2", "--out", "d").code == 0
    for name, code in (("00000.png", 0), ("codes.jsonl", 1)):  # without its list, the images are not listed
        Path("d", name).unlink()
        Path("d", name).symlink_to(victim)
        assert cli("generate", "--count", "2", "--out", "d", "--force").code == code
        assert victim.read_text() == KEPT
    Path("s").mkdir()
    Path("s/000000.png").symlink_to(victim)
    done = cli("encode", str(DIGITS[0]), str(DIGITS[1]), "--show-input", "s", "--force")
    assert done.code == 0, done.err
    assert victim.read_text() == KEPT
    assert not Path("s/000000.png").is_symlink()
