"""An export that fails or is killed leaves the old bundle or the new one, and the next one tidies up.

That one is killed before each change of a file is in test_killed_training.py, whose kills it shares.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infogan_tool.export import atomic_folder as module
from infogan_tool.export.atomic_folder import atomic_folder
from infogan_tool.runtime.errors import OutputExistsError


def bundle(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "generator.onnx").touch()
    (path / "metadata.json").write_text(text)
    return path


def test_old_bundle_of_a_killed_writer_is_put_back(tmp_path: Path) -> None:
    bundle(tmp_path / ".b.0123abcd.old", "old")
    bundle(tmp_path / ".b.0123abcd.partial", "half")
    bundle(tmp_path / ".b.not-ours.partial", "somebody's")
    with pytest.raises(OutputExistsError, match="--force"), atomic_folder(tmp_path / "b", force=False):
        pass
    assert (tmp_path / "b/metadata.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.not-ours.partial", "b"]


def test_failing_second_rename_puts_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = bundle(tmp_path / "b", "old")
    with pytest.raises(FileNotFoundError), atomic_folder(out, force=True) as folder:  # noqa: PT012
        shutil.rmtree(folder)
        monkeypatch.setattr(module, "sync_folder", lambda _: None)
    assert (out / "metadata.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_link_to_a_bundle_is_replaced_and_the_bundle_stays(tmp_path: Path) -> None:
    real = bundle(tmp_path / "real", "real")
    (tmp_path / "link").symlink_to(real)
    with atomic_folder(tmp_path / "link", force=True) as folder:
        (folder / "metadata.json").write_text("new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link/metadata.json").read_text() == "new"
    assert (real / "metadata.json").read_text() == "real"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_failure_leaves_no_folder_that_was_made_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), atomic_folder(tmp_path / "a/b/c", force=False):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_working_folder_can_be_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with atomic_folder(Path(), force=True) as folder:
        (folder / "metadata.json").write_text("new")
    assert (tmp_path / "here/metadata.json").read_text() == "new"
