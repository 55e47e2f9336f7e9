"""Two trainings at one run folder, two exports at one bundle: the second is refused, by one line."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

import pytest
from waiting import wait_until

from infogan_tool.export.atomic_folder import atomic_folder
from infogan_tool.runtime.errors import InUseError
from infogan_tool.runtime.storage import locks
from infogan_tool.runtime.storage.locks import only_writer
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Result


def test_second_training_is_refused_and_a_killed_one_releases_the_lock(
    cli: Callable[..., Result], start: Callable[..., subprocess.Popen[bytes]], one_stage: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--device", "cpu", "--threads", 1)
    with start("train", "--config", one_stage, "--epochs", 100_000, "--out", run, *options) as first:
        metrics = run / "metrics.jsonl"
        wait_until(lambda: metrics.exists() and metrics.stat().st_size, first)
        before = (run / "config.json").read_bytes()
        for arguments in (("--resume", run, "--epochs", 3), ("--config", one_stage, "--out", run)):
            done = cli("train", *arguments, *options)
            assert (done.code, done.out) == (1, "")
            assert len(done.err.splitlines()) == 1
        done = cli("train", "--resume", run, *options)
        assert f"{run} is being written by another infogan-tool (process {first.pid} on " in done.err
        assert (run / "config.json").read_bytes() == before
        assert first.poll() is None, "the first one continues"
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (run / ".lock").exists(), "a killed process cannot remove it"
    done = cli("train", "--resume", run, "--steps", 100_000_000, "--epochs", 1, *options)
    assert done.code == 2, "and nothing holds it"
    done = cli("train", "--resume", run, "--epochs", 1, *options)
    assert "is finished" in done.err or done.code == 0, done.err
    assert not (run / ".lock").exists()


def test_two_trainings_that_start_at_once(
    cli: Callable[..., Result], one_stage: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with only_writer(run / ".lock", "x"):
        done = cli("train", "--config", one_stage, "--out", run)
        assert (done.code, len(done.err.splitlines())) == (1, 1)
        assert "another infogan-tool" in done.err
        assert [path.name for path in run.iterdir()] == [".lock"]


def test_second_export_is_refused_and_the_first_is_unharmed(
    cli: Callable[..., Result], finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    with atomic_folder(out, force=False) as folder:
        (folder / "metadata.json").write_text("the first")
        done = cli("export", finished_run, "--out", out, "--force")
        assert (done.code, len(done.err.splitlines())) == (1, 1)
        assert f"{out} is being written by another infogan-tool (process {os.getpid()} on " in done.err
    assert (out / "metadata.json").read_text() == "the first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_folder_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(FileExistsError), atomic_folder(out, force=False) as folder:  # noqa: PT012
        (folder / "metadata.json").write_text("ours")
        out.mkdir()
        (out / "metadata.json").write_text("theirs")
    assert (out / "metadata.json").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_without_locks_training_works_and_leftovers_are_kept(
    cli: Callable[..., Result], one_stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    run = tmp_path / "run"
    assert cli("train", "--config", one_stage, "--steps", 1, "--out", run).code == 0
    other = run / ".config.json.0123abcd.partial"
    other.write_text("perhaps somebody else is writing this now")
    assert cli("train", "--resume", run, "--steps", 2).code == 0
    assert other.exists()
    theirs = tmp_path / ".bundle.0123abcd.partial"
    theirs.mkdir()
    with atomic_folder(tmp_path / "bundle", force=False) as folder:
        (folder / "metadata.json").write_text("x")
    assert theirs.exists()


def test_lock_whose_holder_has_just_ended_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, take, tries = tmp_path / "x.lock", locks._try_lock, []

    def removed_before_it_was_ours(descriptor: int) -> bool:
        if not tries:
            path.unlink()
        tries.append(descriptor)
        return take(descriptor)

    monkeypatch.setattr(locks, "_try_lock", removed_before_it_was_ours)
    with only_writer(path, "x") as certain:
        assert certain
        assert len(tries) == 2
        assert path.exists()
    assert not path.exists()


def test_lock_is_released_by_errors_and_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(ValueError, match="inside"), only_writer(path, "x"):
        raise ValueError("inside")
    with only_writer(path, "x"):
        with pytest.raises(InUseError, match=rf"x is .*\(process {os.getpid()} on .*\): wait"):
            only_writer(path, "x").__enter__()
        path.write_bytes(b"\x1b[31mnot a name")
        with pytest.raises(InUseError, match=r"infogan-tool: wait"):
            only_writer(path, "x").__enter__()


def test_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "x.lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(OSError, match=r"x\.lock"), only_writer(tmp_path / "x.lock", "x"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_what_a_killed_training_left_is_removed_by_the_next(tmp_path: Path, finished_run: Path) -> None:
    run = RunFolder(tmp_path)
    run.make_folders()
    rests = [
        folder / f".{name}.0123abcd.partial"
        for folder, name in (
            (run.path, "config.json"),
            (run.samples, "step-00000012.png"),
            (run.checkpoints, "last.safetensors"),
        )
    ]
    kept = [run.path / ".notes.partial", run.path / ".x.0123ABCD.partial", run.samples / "mine.partial"]
    for path in (*rests, *kept):
        path.write_text("x")
    with run.locked():
        assert not any(path.exists() for path in rests)
    assert all(path.exists() for path in kept)
