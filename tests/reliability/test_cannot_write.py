"""A full disk, a read-only or removed folder: one line of error, and the last checkpoint is unharmed."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Result
    from torch import Tensor

CPU = ("--device", "cpu", "--threads", 1)


def can_mount() -> bool:
    """Return whether this user may mount in a private namespace."""
    try:
        command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files, which fails as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def errors(done: Result) -> list[str]:
    return [line for line in done.err.splitlines() if "rror" in line]


def act_in_step_9(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call ``act`` within the third step of a resumed run."""
    steps, add = [], Meters.add

    def acting(meters: Meters, scalars: Tensor) -> None:
        add(meters, scalars)
        steps.append(1)
        if len(steps) == 3:
            act()

    monkeypatch.setattr(Meters, "add", acting)


def size(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize(
    "file", ["config.json", "metrics.jsonl", "step-00000012.png", "step-00000012.safetensors"]
)
def test_disk_that_fills(
    cli: Callable[..., Result], half: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    sheet = size(finished_run / "samples/step-00000012.png")
    limits = {
        "config.json": 1000,
        "metrics.jsonl": size(half / "metrics.jsonl") + 100,
        "step-00000012.png": sheet // 2,
        "step-00000012.safetensors": sheet + 1000,  # the kept one is written first
    }
    last = half / "checkpoints/last.safetensors"
    assert limits["metrics.jsonl"] < sheet // 2 < sheet + 1000 < size(last), (
        "or another file would be met first"
    )
    before = last.read_bytes()
    with monkeypatch.context() as patch, files_of_at_most(size(last) * 2):
        if file == "config.json":  # the first that is written
            resource.setrlimit(resource.RLIMIT_FSIZE, (limits[file], resource.RLIM_INFINITY))
        else:
            act_in_step_9(
                patch,
                lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limits[file], resource.RLIM_INFINITY)),
            )
        done = cli("train", "--resume", half, "--epochs", 2, *CPU)
    assert (done.code, len(errors(done))) == (1, 1), done.err
    assert "Traceback" not in done.err
    assert f"{file}: File too large" in done.err
    if file != "config.json":  # before the first step
        assert f"the last good checkpoint ({last}, step 6) is kept" in done.err
    assert last.read_bytes() == before
    assert not list(half.rglob(".*"))
    assert cli("train", "--resume", half, "--epochs", 2, *CPU).code == 0
    assert last.read_bytes() == (finished_run / "checkpoints/last.safetensors").read_bytes()
    assert steps_of(half) == steps_of(finished_run), "what was written of a line is gone"


def steps_of(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_run_folder_removed_while_training(
    cli: Callable[..., Result], half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_in_step_9(monkeypatch, lambda: shutil.rmtree(half))
    done = cli("train", "--resume", half, "--epochs", 2, *CPU)
    assert (done.code, len(errors(done))) == (1, 1), done.err
    assert f"{half}/metrics.jsonl: it was removed while the training ran; stopped after step 12" in done.err
    assert f"there is no checkpoint ({half}/" in done.err
    assert not half.exists()


def test_removed_metrics_file_is_noticed_at_the_next_line(
    cli: Callable[..., Result], half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_in_step_9(monkeypatch, (half / "metrics.jsonl").unlink)
    done = cli("train", "--resume", half, "--epochs", 3, *CPU)
    assert (done.code, len(errors(done))) == (1, 1), done.err
    assert f"{half}/metrics.jsonl: it was removed while the training ran; stopped after step 14" in done.err
    assert "step 12) is kept" in done.err


def test_run_folder_renamed_while_training(
    cli: Callable[..., Result], half: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = half.with_name("moved")
    with monkeypatch.context() as patch:
        act_in_step_9(patch, lambda: half.rename(moved))
        done = cli("train", "--resume", half, "--epochs", 2, *CPU)
    assert (done.code, len(errors(done))) == (1, 1), done.err
    last = moved / "checkpoints/last.safetensors"
    assert read_checkpoint(last).header.step == 6
    assert cli("train", "--resume", moved, "--epochs", 2, *CPU).code == 0
    assert last.read_bytes() == (finished_run / "checkpoints/last.safetensors").read_bytes()


def in_namespace(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount; ``tool`` is infogan-tool."""
    tool = f'tool() {{ "{sys.executable}" -m infogan_tool "$@"; }}; '
    command = ["unshare", "-rm", "sh", "-c", tool + script, "sh", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_real_full_disk(cli: Callable[..., Result], half: Path, finished_run: Path, tmp_path: Path) -> None:
    # The disk holds the run and one checkpoint's half; then what is left of the run is taken out.
    size = sum(path.stat().st_size for path in half.rglob("*") if path.is_file()) // 1024 + 60
    disk = tmp_path / "disk"
    disk.mkdir()
    done = in_namespace(
        'mount -t tmpfs -o size="$3k" tmpfs "$2" && cp -r "$1" "$2/run" && '
        'tool train --resume "$2/run" --epochs 2 --device cpu --threads 1; code=$?; '
        'rm -rf "$1"; cp -r "$2/run" "$1"; exit $code',
        half,
        disk,
        size,
    )
    assert done.returncode == 1, done.stderr
    assert len([line for line in done.stderr.splitlines() if "rror" in line]) == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert f"checkpoint ({disk}/run/checkpoints/last.safetensors, step 6) is kept" in done.stderr
    assert not list(half.rglob(".*"))
    assert cli("train", "--resume", half, "--epochs", 2, *CPU).code == 0
    name = "checkpoints/last.safetensors"
    assert (half / name).read_bytes() == (finished_run / name).read_bytes()


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_read_only_folders(finished_run: Path, one_stage: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    folder.mkdir()
    shutil.copytree(finished_run, folder / "run")
    commands = {
        "run/.lock": ["train", "--resume", f"{folder}/run", "--epochs", "3", "--device", "cpu"],
        "new": ["train", "--config", str(one_stage), "--out", f"{folder}/new", "--device", "cpu"],
        ".bundle.lock": ["export", f"{folder}/run", "--out", f"{folder}/bundle"],
    }
    script = f"from infogan_tool.cli.main import main\nfor c in {list(commands.values())}: print(main(c))"
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && '
    done = in_namespace(mount + f'"{sys.executable}" -c "$2"', folder, script)
    assert done.stdout == "1\n" * 3, done.stderr
    lines = [f"error: {folder}/{named}: Read-only file system" for named in commands]
    assert done.stderr.splitlines() == lines
