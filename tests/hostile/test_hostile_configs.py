"""Untrusted configs and checkpoints: one line within seconds, and no code of theirs runs."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from infogan_tool.runtime.errors import ConfigError, RunError  # noqa: E402 - only where torch is
from infogan_tool.train.config.files import read_config_file, validate_config  # noqa: E402
from infogan_tool.train.run.checkpoint import read_checkpoint  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Result

ROOT = Path(__file__).resolve().parents[2]


def refused(folder: Path, text: str | bytes, suffix: str = ".toml") -> str:
    path = folder / f"config{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        validate_config(read_config_file(path))
    message = str(caught.value)
    assert len(message) < 3000
    assert "\x1b" not in message
    return message


TOML = {
    "dots": (".".join(["a"] * 450_000) + " = 1", "more than 100 dots"),
    "dotted table": ("[" + ".".join(["a"] * 450_000) + "]", "more than 100 dots"),
    "dotted key": ("seed." + ".".join(["a"] * 90) + " = 1", "nested too deep"),
    "very deep lists": ("seed = " + "[" * 10_000 + "]" * 10_000, "nested too deep"),
    "deep lists": ("seed = " + "[" * 70 + "]" * 70, "nested too deep"),
    "deep tables": ("seed = " + "{a=" * 400 + "1" + "}" * 400, "nested too deep"),
    "digits": ("seed = " + "9" * 900_000, "Exceeds the limit"),
    "a great number": ("seed = " + "9" * 4000, "less than 4294967296"),
    "nan": ("[optimizer]\nd_lr = nan", "optimizer.d_lr"),
    "inf": ("[optimizer]\nd_lr = inf", "optimizer.d_lr"),
    "negative inf": ("[objective]\nlog_variance_range = [-inf, 0.0]", "objective.log_variance_range"),
    "many keys": ("\n".join(f"k{i} = 1" for i in range(20_000)), "and 19,980 more"),
    "a megabyte": ("#" * 1_000_001, "larger than 1,000,000 bytes"),
    "no text": (b"\xff\xfe", "cannot be read"),
    "many codes": ("[latent]\ncategorical = [" + "2, " * 40_000 + "]", "wide"),
}
JSON = {
    "unclosed": ("[" * 100_000, "nested too deep"),
    "deep": ('{"seed": ' + "[" * 900 + "]" * 900 + "}", "nested too deep"),
    "digits": ('{"seed": ' + "9" * 900_000 + "}", "Exceeds the limit"),
    "nan": ('{"optimizer": {"d_lr": NaN}}', "optimizer.d_lr"),
    "a list": ("[]", "must hold a table"),
}


@pytest.mark.parametrize("case", TOML)
def test_toml(tmp_path: Path, case: str) -> None:
    text, message = TOML[case]
    assert message in refused(tmp_path, text)


@pytest.mark.parametrize("case", JSON)
def test_json(tmp_path: Path, case: str) -> None:
    text, message = JSON[case]
    assert message in refused(tmp_path, text, ".json")


def test_a_config_with_control_characters(tmp_path: Path, cli: Callable[..., Result]) -> None:
    path = tmp_path / "c.toml"
    path.write_text('"\\u001b[31m\\u0007" = 1\nseed = "\\u001b[2J"')
    done = cli("train", "--config", path, "--dry-run")
    assert (done.code, done.out) == (2, "")
    assert done.err.rstrip("\n").isprintable()


# --- checkpoints -------------------------------------------------------------------------------------------


class _Runs:
    """An object whose unpickling runs code."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("kind", ["pickle", "torch", "torch-old", "tail", "header"])
def test_a_pickle_in_disguise_is_refused_unopened(kind: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "last.safetensors", tmp_path / "it was run"
    if kind.startswith("torch"):
        torch.save(_Runs(marker), path, _use_new_zipfile_serialization=kind == "torch")
    else:
        content = pickle.dumps(_Runs(marker))
        before = {
            "pickle": b"",
            "tail": struct.pack("<Q", 2) + b"{}",
            "header": struct.pack("<Q", len(content)),
        }
        path.write_bytes(before[kind] + content)
    with pytest.raises(RunError, match="checkpoint") as caught:
        read_checkpoint(path)
    assert not marker.exists()
    assert len(str(caught.value)) < 600
    pickle.loads(pickle.dumps(_Runs(marker)))
    assert marker.exists()  # it would have run


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 200_000_000) + b"{}",
        struct.pack("<Q", 20_000) + b"[" * 20_000,
        struct.pack("<Q", 88)
        + b'{"networks/a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}  ',
    ],
    ids=["empty", "endless header", "long header", "deep header", "a tensor of 4 TB"],
)
def test_damaged_checkpoints(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes(content)
    with pytest.raises(RunError):
        read_checkpoint(tmp_path / "last.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX's")
def test_a_pipe_in_place_of_a_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.safetensors")
    code = (
        "import sys; from pathlib import Path\n"
        "from infogan_tool.train.run.checkpoint import read_checkpoint\n"
        "try: read_checkpoint(Path(sys.argv[1]))\n"
        "except ValueError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "last.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "is not a regular file" in done.stdout


def test_nothing_unpickles_what_it_is_given() -> None:
    """Pickles go between the program's own processes, and nowhere else."""
    users = {}
    for layer in ("runtime", "train", "export", "cli"):
        for path in (ROOT / layer).rglob("*.py"):
            text = path.read_text("utf-8")
            found = [word for word in ("pickle.load", "torch.load", "allow_pickle=True") if word in text]
            if found:
                users[str(path.relative_to(ROOT))] = found
    own = {
        "runtime/bulk/decode/process_pool.py",
        "runtime/bulk/decode/worker.py",
        "runtime/bulk/encode/ray_engine.py",
    }
    assert users.keys() <= own
    assert set().union(*users.values()) <= {"pickle.load"}
