"""A run that is killed at any moment and resumed writes the same bytes as one that was not killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bulk_helpers import inputs_done
from PIL import Image
from waiting import wait_until

from infogan_tool.runtime.bulk.output.resumable import Resumable

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 9_000
TINY = Path(__file__).parents[2] / "fixtures" / "continuous"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return arguments that name 11,000 images: files, some damaged, and two kinds of array files."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    for number in range(1_000):
        path = folder / "files" / f"{number:04d}.png"
        path.parent.mkdir(exist_ok=True)
        if number % 100 == 17:
            path.write_bytes(b"no image")
        else:
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(path, compress_level=0)
    np.save(folder / "a.npy", rng.integers(0, 256, (COUNT, 12, 12), np.uint8))
    np.savez(folder / "b.npz", x=rng.random((1_000, 8, 8)))
    return [str(folder / name) for name in ("files", "a.npy", "b.npz")]


def arguments(inputs: list[str], out: Path, *options: str, raw: bool = True) -> list[str]:
    """Return a command line; with ``raw``, for speed, without preprocessing."""
    command = ["encode", *inputs, "-b", str(TINY), "--out", str(out), *options]
    return [*command, "--errors", str(out.with_suffix(".err")), *(["--raw"] if raw else [])]


def run(inputs: list[str], out: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "infogan_tool", *arguments(inputs, out, *options)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)


def run_and_kill(inputs: list[str], out: Path, *options: str, after: int = 0, delay: float = 0) -> int:
    """Kill a run once more than ``after`` inputs are done; return how many were done a delay before."""
    process = run(inputs, out, *options)
    wait_until(lambda: inputs_done(out) > after, process)
    done = inputs_done(out)
    time.sleep(delay)
    process.kill()
    assert finish(process)[0] == -9
    return done


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[str]]:
    _, messages = process.communicate(timeout=600)
    return process.returncode, messages.decode().splitlines()


@pytest.fixture(scope="module")
def uninterrupted(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the outputs of runs that were not stopped, by suffix."""
    folder, found = tmp_path_factory.mktemp("uninterrupted"), {}
    for suffix in (".jsonl", ".csv", ".parquet"):
        if suffix == ".parquet" and find_spec("pyarrow") is None:
            continue
        out = folder / suffix.strip(".") / f"codes{suffix}"
        out.parent.mkdir()
        code, messages = finish(run(inputs, out))
        assert code == 3
        assert messages[-2:] == [f"wrote the codes of 10,990 images to {out}", "10 of 11,000 images failed"]
        found[suffix] = out.read_bytes()
    found[".err"] = out.with_suffix(".err").read_bytes()
    return found


@pytest.mark.parametrize(
    ("suffix", "delays"), [(".jsonl", [0.0, 0.02]), (".csv", [0.01]), (".parquet", [0.005])]
)
def test_killed_several_times_and_resumed(
    inputs: list[str], uninterrupted: dict[str, bytes], tmp_path: Path, suffix: str, delays: list[float]
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"codes{suffix}"
    done = 0
    for delay in delays:
        done = run_and_kill(inputs, out, "--resume", after=done, delay=delay)
        assert not out.exists()
    code, messages = finish(run(inputs, out, "--resume"))
    assert code == 3
    assert messages[0].startswith("resuming after ")
    assert messages[-2:] == [f"wrote the codes of 10,990 images to {out}", "10 of 11,000 images failed"]
    assert out.read_bytes() == uninterrupted[suffix]
    assert out.with_suffix(".err").read_bytes() == uninterrupted[".err"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, "codes.err"])


def test_other_inputs_or_options_are_refused(
    inputs: list[str], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    out = tmp_path / "codes.jsonl"
    run_and_kill(inputs, out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for given, options, raw, message in (
        (inputs[::-1], ["--resume"], True, "the inputs are not those of the unfinished run"),
        (inputs, ["--resume"], False, "the unfinished run has another setting of --raw (True, now False)"),
        (inputs, [], True, "a run left it unfinished; --resume continues it, --force starts over"),
    ):
        refused = cli(*arguments(given, out, *options, raw=raw))
        assert refused.code in (1, 2)
        assert len(refused.err.splitlines()) == 1
        assert message in refused.err
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after["codes.jsonl.part.journal"] == before["codes.jsonl.part.journal"]
    code, messages = finish(run(inputs, out, "--resume"))
    assert code == 3
    assert messages[0].startswith("resuming after ")
    refused = cli(*arguments(inputs, out, "--resume"))
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert f"{out} already exists" in refused.err


def test_the_inputs_are_shown_from_where_a_run_resumes(
    inputs: list[str], tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen, add = tmp_path / "codes.jsonl", tmp_path / "seen", Resumable.add

    def interrupted(result: Resumable, *args: Any) -> None:  # noqa: ANN401
        add(result, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Resumable, "add", interrupted)
        assert cli(*arguments(inputs[:1], out, "--show-input", str(seen))).code == 130
    assert 0 < len(list(seen.iterdir())) < 990
    sheet = cli(*arguments(inputs[:1], out, "--resume", "--show-input", str(tmp_path / "seen.png")))
    assert (sheet.code, len(sheet.err.splitlines())) == (2, 1)
    assert "--show-input FOLDER" in sheet.err
    assert cli(*arguments(inputs[:1], out, "--resume", "--show-input", str(seen))).code == 3
    assert len(list(seen.iterdir())) == 990, "all that can be read"


def test_force_keeps_an_unfinished_run_until_the_new_one_has_records(
    inputs: list[str], uninterrupted: dict[str, bytes], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    out = tmp_path / "codes.jsonl"
    run_and_kill(inputs, out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".lock"}
    assert sorted(before) == ["codes.err.part", "codes.jsonl.part", "codes.jsonl.part.journal"]
    mistakes: list[tuple[list[str], list[str], int]] = [
        (inputs, ["-b", "nothing"], 1),
        (inputs, ["--engine", "nothing"], 2),
        (inputs, ["--show-input", "no/such/folder/x.png"], 2),
        ([str(tmp_path / "no.png")], [], 1),
        ([str(tmp_path / "no" / "*.png")], [], 1),
        ([*inputs, ""], [], 2),
    ]
    if find_spec("ray") is None:
        mistakes.append((inputs, ["--engine", "ray"], 1))
    for given, options, code in mistakes:
        assert cli(*arguments(given, out), "--force", *options).code == code
        kept = {name: (tmp_path / name).read_bytes() for name in before}
        assert kept == before
        out.with_suffix(".err").unlink(missing_ok=True)
    assert finish(run(inputs, out, "--force"))[0] == 3
    assert out.read_bytes() == uninterrupted[".jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.err", "codes.jsonl"]
