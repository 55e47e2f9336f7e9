"""A run that is killed at any moment and gone on with writes, byte for byte, what one that was not writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from many import inputs_done
from PIL import Image

COUNT = 9_000
TINY = Path(__file__).parents[1] / "fixtures" / "continuous"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return arguments that come to 11,000 images: files, some bad, and two kinds of containers."""
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


def run(inputs: list[str], out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "infogan_tool", "encode", *inputs, "-b", str(TINY), "--out", str(out)]
    command += ["--errors", str(out.with_suffix(".err")), *options]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[str]]:
    _, told = process.communicate(timeout=120)
    return process.returncode, told.decode().splitlines()


@pytest.fixture(scope="module")
def whole(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the outputs of runs that nobody stopped, by their endings."""
    folder, found = tmp_path_factory.mktemp("whole"), {}
    for suffix in (".jsonl", ".csv", ".parquet"):
        if suffix == ".parquet" and find_spec("pyarrow") is None:
            continue
        out = folder / suffix.strip(".") / f"whole{suffix}"
        out.parent.mkdir()
        code, told = finish(run(inputs, out))
        assert code == 3
        assert told[-2:] == [f"wrote the codes of 10,990 images to {out}", "10 of 11,000 images failed"]
        found[suffix] = out.read_bytes()
    found[".err"] = out.with_suffix(".err").read_bytes()
    return found


@pytest.mark.parametrize(
    ("suffix", "delays"), [(".jsonl", [0.0, 0.01, 0.03]), (".csv", [0.02]), (".parquet", [0.005])]
)
def test_killed_again_and_again(
    inputs: list[str], whole: dict[str, bytes], tmp_path: Path, suffix: str, delays: list[float]
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"codes{suffix}"
    seen = -1
    for delay in delays:
        process = run(inputs, out, "--resume")
        while (done := inputs_done(out)) <= max(seen, 0):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        assert finish(process)[0] == -9
        assert not out.exists()
        seen = done
    code, told = finish(run(inputs, out, "--resume"))
    assert code == 3
    assert told[0].startswith("going on after ")
    assert told[-2:] == [f"wrote the codes of 10,990 images to {out}", "10 of 11,000 images failed"]
    assert out.read_bytes() == whole[suffix]
    assert out.with_suffix(".err").read_bytes() == whole[".err"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, "codes.err"])


def test_other_inputs_or_options_are_refused(inputs: list[str], tmp_path: Path) -> None:
    out = tmp_path / "codes.jsonl"
    process = run(inputs, out)
    while inputs_done(out) <= 0:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    finish(process)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for given, options, message in (
        (inputs[::-1], ["--resume"], "the inputs are not those of the unfinished run"),
        (inputs, ["--resume", "--raw"], "the unfinished run has another setting of --raw (False, now True)"),
        (inputs, [], "a run left it unfinished; --resume goes on with it, --force begins anew"),
    ):
        code, told = finish(run(given, out, *options))
        assert code in (1, 2)
        assert len(told) == 1
        assert message in told[0]
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after["codes.jsonl.part.journal"] == before["codes.jsonl.part.journal"]
    code, told = finish(run(inputs, out, "--resume"))
    assert code == 3
    assert told[0].startswith("going on after ")
    code, told = finish(run(inputs, out, "--resume"))
    assert (code, len(told)) == (1, 1)
    assert f"{out} is already there" in told[0]
