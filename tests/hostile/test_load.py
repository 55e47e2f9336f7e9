"""Concurrent use gives the results of a single process; benchmarks/load.py and soak.py run longer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle

ROOT = Path(__file__).resolve().parents[2]
BATCHES = (1, 3, 64, 257)


def encoded(bundle: Bundle, images: np.ndarray) -> bytes:
    found = bundle.encode(images)
    parts = (*found.probabilities, found.style_mean, found.style_std, found.distance)
    return b"".join(part.tobytes() for part in parts if part is not None)


@pytest.mark.parametrize("own", [1, None], ids=["one thread each", "all cores each"])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_threads_in_one_process(workers: int, own: int | None) -> None:
    alone, shared = load_bundle(device="cpu", threads=1), load_bundle(device="cpu", threads=own)
    images = np.random.default_rng(workers).integers(0, 256, (257, 28, 28), np.uint8)
    expected = {batch: encoded(alone, images[:batch]) for batch in BATCHES}
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(8):
            batch = BATCHES[(number + turn) % len(BATCHES)]
            if encoded(shared, images[:batch]) != expected[batch]:
                wrong.append((number, batch))
            latents = shared.sample(3, seed=number)
            if not np.array_equal(shared.generate(latents), shared.generate(latents)):
                wrong.append((number, "generate"))

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_four_processes_at_once(tmp_path: Path) -> None:
    digits = sorted((ROOT / "examples").glob("*.png"))
    command = [sys.executable, "-m", "infogan_tool", "encode", *map(str, digits), "--json"]
    alone = subprocess.run(command, capture_output=True, check=True, timeout=600).stdout
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=os.environ) for _ in range(4)
    ]
    assert [process.communicate(timeout=600)[0] for process in running] == [alone] * 4
    assert {process.returncode for process in running} == {0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["benchmarks/load.py", "--seconds", "5"],
        ["benchmarks/soak.py", "--encodes", "20000", "--plot", "soak.svg", "--csv", "soak.csv"],
        ["tests/hostile/soak_images.py", "--count", "20000"],
    ],
    ids=["load", "encodes", "images"],
)
def test_the_soak_commands(command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script, *options = command
    subprocess.run([sys.executable, ROOT / script, *options], cwd=tmp_path, check=True, timeout=600)
    with capfd.disabled():
        print("", *capfd.readouterr().out.splitlines(), sep="\n")


@pytest.mark.slow
def test_fuzzing_guided_by_coverage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("atheris")  # it has wheels for few Pythons and systems
    command = [sys.executable, ROOT / "tests/hostile/fuzz_images.py", "--seconds", "60"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("crash", "timeout", "oom"))]
    assert "Done " in capfd.readouterr().err
