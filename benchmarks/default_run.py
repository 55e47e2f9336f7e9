"""Time, memory and accuracy of a whole default run, next to preset `paper` given the same time.

    python benchmarks/default_run.py --out /some/empty/folder [--seed 0]

Both are trained by the command line in a process of their own, one after the other, on every core; `paper` is
stopped (it saves) when it has had as long as the default run took. Then both are exported, which measures the
encoder on the real test images. Prints one Markdown table, with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

TOOL = [sys.executable, "-m", "infogan_tool"]
TRAIN = """
import re, sys
from infogan_tool.cli.main import main
code = main(["train", *sys.argv[1:]])
# Not getrusage: a process begins with the peak of the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""
"""The training, and its peak memory in KB on standard output."""


def timed_training(arguments: list[str], limit: float | None) -> tuple[float, float]:
    """Train in a process of its own; return wall seconds and its peak memory in GB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", TRAIN, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate()
    if process.returncode not in (0, 130):
        raise SystemExit(f"training ended with {process.returncode}")
    return time.perf_counter() - start, int(output.split()[-1]) / 2**20


def accuracy(run: Path, bundle: Path) -> float:
    """Export a run; return its encoder's accuracy on the real test images."""
    command = [*TOOL, "export", str(run), "--out", str(bundle)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    metadata = json.loads((bundle / "metadata.json").read_text())
    return float(metadata["card"]["accuracy"]["test"])


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True)
    rows, limit = [], None
    for preset in ("mnist", "paper"):
        run = out / preset
        arguments = ["--preset", preset, "--seed", options.seed, "--out", str(run)]
        seconds, memory = timed_training(arguments, limit)
        limit = limit or seconds
        steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
        rows.append((preset, seconds, memory, steps, accuracy(run, out / f"{preset}-bundle")))
    names = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime-gpu", "numpy"))
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    print(f"\n{machine}; Python {platform.python_version()}, {names}\n")
    print("| preset | minutes | peak memory, GB | steps | accuracy on the test images |")
    print("|---|---|---|---|---|")
    for preset, seconds, memory, steps, score in rows:
        print(f"| {preset} | {seconds / 60:.1f} | {memory:.2f} | {steps} | {score:.4f} |")


if __name__ == "__main__":
    main()
