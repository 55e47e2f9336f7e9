"""A hostile folder: odd names, loops, pipes, devices, and damaged files among good ones."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hostile_images import mutated, seeds

from infogan_tool.runtime.bulk.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names, pipes and devices are those of POSIX")

ROOT = Path(__file__).resolve().parents[2]
DIGIT = min((ROOT / "examples").glob("*.png"))
NAMES = [
    "a\nb.png",
    "\r\x1b[2J\x1b[31mred.png",
    "\x1b]0;title\x07.png",
    "\x9b31m.png",
    "\x7f.png",
    "right\u202eto left.png",
    "=cmd|'calc'!A0.png",
    "+1.png",
    "-1.png",
    "@SUM(A1).png",
    "\tx.png",
    "\uff1dwide.png",
    '"quoted",=1.png',
    "semi;=1+1;.png",
    "%s%n{0}[red]bold[red].png",
    "'; DROP TABLE--.png",
    "\u00e9\u4e2d\U0001f600.png",
    os.fsdecode(b"\xff\xfe.png"),
    "a" * 251 + ".png",
]
"""Each of a file that is a digit."""
CONTROL = [chr(code) for code in (*range(9), *range(11, 32), 127, *range(128, 160), 0x202E, 0x2028)]
"""What a terminal may obey; a line's end is left out."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    for name in NAMES:
        shutil.copy(DIGIT, made / name)
    for number in range(20):
        (made / f"m{number:02d}\x1b[7m.png").write_bytes(mutated(number)[1])
    for name in ("tiff/tiff_lzw", "tiff/group4"):  # libtiff has much to say of these
        content = bytearray(seeds()[name])
        content[len(content) // 2 : len(content) // 2 + 20] = bytes(range(235, 255))
        (made / f"{name.replace('/', '-')}.tif").write_bytes(content)
    (made / "loop").symlink_to(".")
    (made / "up").symlink_to("..")
    (made / "self.png").symlink_to("self.png")
    (made / "dangling.png").symlink_to("nowhere.png")
    (made / "zero.png").symlink_to("/dev/zero")
    (made / "tty.png").symlink_to("/dev/tty")
    (made / "mem.png").symlink_to("/proc/self/mem")
    os.mkfifo(made / "pipe.png")
    (made / "folder.png").mkdir()
    (made / "locked.png").write_bytes(b"")
    (made / "locked.png").chmod(0)
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(made)  # the path of a socket may be no longer than 107 bytes
        server.bind("socket.png")
        os.chdir(here)
    return made


def check_terminal(text: str) -> None:
    assert not [c for c in CONTROL if c in text]
    assert "Traceback" not in text


@pytest.mark.parametrize("how", ["few", "many"])
def test_good_files_are_read_and_the_others_reported(
    folder: Path, how: str, tmp_path: Path, spawn: Callable[..., Result]
) -> None:
    if how == "many":  # more than 64 files are read by processes
        (folder / "good").mkdir()
        for number in range(64):
            shutil.copy(DIGIT, folder / "good" / f"{number}.png")
    found = {}
    for suffix in ("jsonl", "csv"):
        out, errors = tmp_path / f"codes.{suffix}", tmp_path / f"errors-{suffix}"
        done = spawn("encode", folder, "--out", out, "--errors", errors, "--no-progress")
        assert done.code == 3, done.err
        check_terminal(done.err)
        lines = done.err.splitlines()
        assert all(line.startswith(("error: ", "wrote ")) or line.endswith(" failed") for line in lines), (
            lines
        )
        failed = [json.loads(line) for line in errors.read_text().splitlines()]
        assert len(failed) == len(lines) - 2
        check_terminal("".join(record["error"] for record in failed))
        found[suffix] = {Path(record["path"]).name: record["error"] for record in failed}
    assert found["jsonl"] == found["csv"]
    messages = found["jsonl"]
    assert "is not a regular file" in messages["pipe.png"]
    assert "is not a regular file" in messages["zero.png"]
    assert "is not a regular file" in messages["socket.png"]
    assert "Too many levels of symbolic links" in messages["self.png"]
    assert "No such file" in messages["dangling.png"]
    for name in ("tty.png", "mem.png", "locked.png"):
        assert name in messages
    assert not messages.keys() & set(NAMES)

    records = [json.loads(line) for line in (tmp_path / "codes.jsonl").read_text("ascii").splitlines()]
    label = {record["path"]: record["categories"][0]["label"] for record in records}
    assert {label[str(folder / name)] for name in NAMES} == {label[str(folder / NAMES[0])]}
    check_terminal((tmp_path / "codes.csv").read_text("utf-8"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "codes.csv").read_text("utf-8"), newline="")))
    assert len(rows) == len(records)
    # The folder was walked once, whatever leads back to it.
    assert len({os.path.realpath(path) for path in label}) == len(label)


def test_folders_deeper_than_calls_may_be_and_links_that_multiply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Result]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1500):
        os.mkdir("d")  # noqa: PTH102 - one by one, for the whole path is too long for one call
        os.chdir("d")
    shutil.copy(DIGIT, "deep.png")
    monkeypatch.chdir(tmp_path)
    found = list(walk("d", lambda _: True))
    assert found == ["d/" * 1500 + "deep.png"]
    os.remove(found[0])  # noqa: PTH107 - shutil and pytest would not get there
    os.removedirs("d/" * 1500)
    for level in range(40):  # 2 ** 40 ways to the last
        Path(f"l{level}").mkdir()
        for way in "ab":
            Path(f"l{level}", way).symlink_to(f"../l{level + 1}")
    Path("l40").mkdir()
    shutil.copy(DIGIT, "l40/x.png")
    found = list(walk("l0", lambda _: True))
    assert found == ["l0/" + "a/" * 40 + "x.png"]
    done = cli("encode", "l0", "l40", "--json")
    assert (done.code, len(done.out.splitlines())) == (0, 2)


def test_on_the_terminal(folder: Path, spawn: Callable[..., Result]) -> None:
    for options in ((), ("--json",), ("--format", "csv")):
        done = spawn("encode", folder, *options)
        check_terminal(done.out)
        check_terminal(done.err)
        assert done.code == 3
    assert "\\x1b[2J" in spawn("encode", folder).out


def test_names_are_no_formulas(
    tmp_path: Path, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # so that the name comes first in its cell
    names = [name for name in NAMES if not name.startswith("-")]
    for name in names:
        shutil.copy(DIGIT, name)
    done = cli("encode", *names, "--out", "codes.csv")
    assert done.code == 0, done.err
    text = Path("codes.csv").read_text("utf-8")
    check_terminal(text)
    cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]
    assert len(cells) == len(names)
    assert not [cell for cell in cells if cell.startswith(FORMULA)]
    # Nor where a spreadsheet parts cells at semicolons or tabs: then the quoted name is still one cell.
    for part in (";", "\t"):
        apart = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=part) for cell in row]
        assert not [cell for cell in apart if cell.startswith(FORMULA)], part


def test_labels_are_no_formulas(tiny: Path, tmp_path: Path, cli: Callable[..., Result]) -> None:
    bundle = Path(shutil.copytree(tiny, tmp_path / "bundle"))
    data = json.loads((bundle / "metadata.json").read_text())
    data["labels"]["k1"] = ["=1+1", "@x", "+2", "-3"]
    (bundle / "metadata.json").write_text(json.dumps(data))
    assert cli("encode", DIGIT, "-b", bundle, "--out", tmp_path / "c.csv").code == 0
    rows = csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text("utf-8")))
    assert next(rows)["k1_label"].startswith("'")


def test_a_list_of_hostile_names(folder: Path) -> None:
    listed = b"\0".join(os.fsencode(folder / name) for name in [*NAMES, "pipe.png"])
    command = [sys.executable, "-m", "infogan_tool", "encode", "-", "--json"]
    done = subprocess.run(command, input=listed, capture_output=True, timeout=600, check=False)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == len(NAMES)
    check_terminal(done.stderr.decode())
