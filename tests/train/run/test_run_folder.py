"""Creating run folders, and reading run.json."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.errors import OutputExistsError, RunError
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infogan_tool.train.config.schema import TrainConfig


def test_folder_that_is_not_empty_is_refused_and_unchanged(
    small: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputExistsError, match="--resume"):
        RunFolder.create(tmp_path, small(), "mnist")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_numbers_of_folders_increase(
    small: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [RunFolder.create(None, small(), "mnist").path.as_posix() for _ in range(2)]
    assert names == ["runs/00000-paper-mnist-seed0", "runs/00001-paper-mnist-seed0"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"data": []}',
        b'{"data": {"images": "many"}}',
        b'{"data": {"images": 3}}' + b" " * 1_000_000,
    ],
)
def test_damaged_run_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json"):
        RunFolder(tmp_path).read_info()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipe_in_place_of_run_json_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RunError, match="not a regular file"):
        RunFolder(tmp_path).read_info()
