"""Creating run folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infogan_tool.runtime.errors import OutputExistsError
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
