"""Two names that change places in one step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from infogan_tool.export.exchange import exchange

if TYPE_CHECKING:
    from pathlib import Path


def filled(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "said").write_text(name, "utf-8")
    return folder / name


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no other system has a call for it")
def test_two_folders_change_places_whatever_they_are_called(tmp_path: Path) -> None:
    one, other = filled(tmp_path, "old\n"), filled(tmp_path, "neu ü")
    before = one.stat().st_ino, other.stat().st_ino
    assert exchange(one, other)
    assert (other.stat().st_ino, one.stat().st_ino) == before
    assert [(path / "said").read_text("utf-8") for path in (one, other)] == [
        "neu ü", "old\n"
    ]  # fmt: skip
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_not_there_cannot_change_places(tmp_path: Path) -> None:
    one = filled(tmp_path, "one")
    with pytest.raises(FileNotFoundError, match="missing"):
        exchange(one, tmp_path / "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
