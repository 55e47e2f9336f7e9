"""Time and memory of `infogan-tool export`, for images of three sizes.

    python benchmarks/export.py [--rounds 1] [--only 64] [--work DIR] [--json FILE]

Runs of one training step are exported, each in a process of its own. The operating system reports its
elapsed time, its processor time in user mode and its greatest resident memory. What an export computes does
not depend on the length of the training. Images of 28 x 28 and 64 x 64 are MNIST; those of 128 x 128 are
MNIST's digits in random colours, in a folder with labels and test images. With --rounds the least time of
several exports counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from side_by_side import arguments, environment, report, run_process

from infogan_tool.train.data import load_images, load_test_images

TOOL = (sys.executable, "-m", "infogan_tool")
RUNS = {
    28: ("paper", (), "1.6 GB", ""),
    64: ("lab", (), "60 s, 1.5 GB", ""),
    128: ("svhn", ("--size", "128"), "120 s, 3 GB", "colours"),
}
"""By size: preset, options, goal, data; svhn has four categorical codes and four styles."""
TRAIN, TEST = 4_400, 1_200
"""Images of the folder: more than an export uses."""


def main() -> None:
    """Train, export and print the table."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=1)
    parser.add_argument("--only", type=int, choices=list(RUNS), help="export only this size")
    parser.add_argument("--work", type=Path, help="keep runs and bundles in this folder")
    options = parser.parse_args()
    machine, rows = environment(), []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        for size in [options.only] if options.only else RUNS:
            preset, extra, goal, data = RUNS[size]
            run = work / f"run-{size}"
            if not run.exists():
                given = ("--data", str(_colours(work / data, size))) if data else ()
                train = f"train --preset {preset} --steps 1 --batch-size 16".split()
                run_process(*TOOL, *train, *extra, *given, "--out", str(run))
            measured = [_export(run, work / f"bundle-{size}") for _ in range(options.rounds)]
            rows.append(
                {
                    "preset": " ".join((preset, *extra)),
                    "images": f"{size} x {size}",
                    "seconds": min(seconds for seconds, _, _ in measured),
                    "user seconds": min(user for _, user, _ in measured),
                    "peak memory, GB": max(memory for _, _, memory in measured),
                    "goal": goal,
                }
            )
    report(rows, machine, options.json)


def _export(run: Path, out: Path) -> tuple[float, float, float]:
    """Export a run in a process of its own: seconds, seconds of the processor, gigabytes."""
    command = [*TOOL, "export", str(run), "--out", str(out), "--force", "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_utime, usage.ru_maxrss * unit / 1e9


def _colours(folder: Path, size: int) -> Path:
    """Write MNIST's digits in random colours on random backgrounds, a folder for each digit."""
    if folder.exists():
        shutil.rmtree(folder)
    rng = np.random.default_rng(0)
    for split, count, images in (
        ("train", TRAIN, load_images("mnist")),
        ("test", TEST, load_test_images("mnist")),
    ):
        assert images is not None
        assert images.labels is not None
        for index in range(count):
            place = folder / split / str(int(images.labels[index]))
            place.mkdir(parents=True, exist_ok=True)
            digit = Image.fromarray(images.images[index, 0].numpy()).resize(
                (size, size), Image.Resampling.BICUBIC
            )
            ink, paper = (
                Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist())) for _ in range(2)
            )
            Image.composite(ink, paper, digit).save(place / f"{index:05d}.png", compress_level=1)
    return folder


if __name__ == "__main__":
    main()
