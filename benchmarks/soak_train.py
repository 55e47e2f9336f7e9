"""Train for a long time, and watch the memory and the open files of the training from outside.

    python benchmarks/soak_train.py --seconds 7200 --csv soak.csv --plot soak.svg [-- --preset compact]

What follows ``--`` are options of ``infogan-tool train``; by default the game of preset `compact`, which
writes metrics, sample sheets and checkpoints all the while. In the end the training gets SIGTERM, and must
save. After the warm-up (a tenth of the run) memory and open files must stay as they are: the command ends
with 1 if memory grows by more than 2 % and 8 MB, any file stays open, or the training ends otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from side_by_side import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLES = 400
_GROWTH, _SLACK_MB = 0.02, 8.0
_WINDOW = 20
_INTERRUPTED = 130


@dataclass(frozen=True)
class Sample:
    """What the training holds at some moment."""

    seconds: float
    step: int
    memory_mb: float
    files: int


def main() -> int:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write what was held, line by line")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("options", nargs="*", default=["--preset", "compact"], help="of infogan-tool train")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "infogan_tool", "train", "--epochs", "1000000", "--device", "cpu"]
        command += [*options.options, "--out", str(run)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as training:  # noqa: S603
            samples = list(watched(training, run, options.seconds))
            training.send_signal(signal.SIGTERM)
            ended = training.wait()
        saved = (run / "checkpoints" / "last.safetensors").exists()
    figures = judged(samples, saved=saved and ended == _INTERRUPTED)
    for key, value in figures.items():
        print(f"{key:<26} {value}")
    if options.csv:
        rows = [",".join(map(str, asdict(sample).values())) for sample in samples]
        options.csv.write_text("\n".join([",".join(asdict(samples[0])), *rows]) + "\n")
    if options.plot:
        options.plot.write_text(drawn(samples))
    if options.json:
        what = {"options": options.options, **environment(), **figures}
        options.json.write_text(json.dumps(what, indent=2) + "\n")
    return 0 if figures["flat"] and figures["saved at the end"] else 1


def watched(training: subprocess.Popen[bytes], run: Path, seconds: float) -> Iterator[Sample]:
    """Look at the training four hundred times; the clock begins with its first metrics."""
    metrics = run / "metrics.jsonl"
    while not metrics.exists() or not metrics.stat().st_size:
        if training.poll() is not None:
            raise SystemExit(f"the training ended with {training.returncode} before it began")
        time.sleep(0.1)
    began = time.monotonic()
    for number in range(1, _SAMPLES + 1):
        time.sleep(max(0.0, began + seconds * number / _SAMPLES - time.monotonic()))
        if training.poll() is not None:
            raise SystemExit(f"the training ended with {training.returncode} on the way")
        proc = Path("/proc") / str(training.pid)
        pages = int((proc / "statm").read_text().split()[1])
        yield Sample(
            seconds=round(time.monotonic() - began, 1),
            step=last_step(metrics),
            memory_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
            files=len(list((proc / "fd").iterdir())),
        )


def last_step(metrics: Path) -> int:
    """Return the step of the last whole line."""
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - 10_000))
        line = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return int(json.loads(line)["step"])


def judged(samples: list[Sample], *, saved: bool) -> dict[str, object]:
    """Return the figures, and whether memory and open files were flat after the warm-up."""
    after = samples[len(samples) // 10 :]
    # The middle of a few: an allocator gives back and takes again, and a file is open while it is written.
    first, last = (
        (float(np.median([s.memory_mb for s in part])), int(np.median([s.files for s in part])))
        for part in (after[:_WINDOW], after[-_WINDOW:])
    )
    return {
        "seconds": samples[-1].seconds,
        "steps": samples[-1].step,
        "memory after warm-up, MB": round(first[0], 1),
        "memory at the end, MB": round(last[0], 1),
        "memory at most, MB": max(sample.memory_mb for sample in after),
        "open files after warm-up": first[1],
        "open files at the end": last[1],
        "flat": last[0] - first[0] <= max(_SLACK_MB, _GROWTH * first[0]) and last[1] <= first[1],
        "saved at the end": saved,
    }


def drawn(samples: list[Sample]) -> str:
    """Return memory and open files by time as an SVG."""
    width, height, left, top = 720, 240, 60, 20
    end = samples[-1].seconds
    most = {"memory_mb": max(s.memory_mb for s in samples) * 1.1, "files": max(s.files for s in samples) * 2}
    lines = ""
    for name, colour in (("memory_mb", "#0550ae"), ("files", "#bc4c00")):
        points = " ".join(
            f"{left + s.seconds / end * (width - left - 20):.1f},"
            f"{top + (1 - getattr(s, name) / most[name]) * height:.1f}"
            for s in samples
        )
        lines += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    marks = "".join(
        f'<text x="{left - 6}" y="{top + (1 - part) * height + 4:.0f}" text-anchor="end">'
        f"{most['memory_mb'] * part:.0f}</text>"
        for part in (0, 0.5, 1)
    )
    said = f"{samples[0].files} to {samples[-1].files}, between {min(s.files for s in samples)} and "
    said += f"{max(s.files for s in samples)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 70}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{left} {top}V{top + height}H{width - 20}" fill="none" stroke="#888"/>{marks}{lines}'
        f'<text x="{left}" y="{top + height + 20}">0</text>'
        f'<text x="{width - 20}" y="{top + height + 20}" text-anchor="end">{end:,.0f} seconds, '
        f"{samples[-1].step:,} steps</text>"
        f'<text x="{left}" y="{top + height + 40}"><tspan fill="#0550ae">memory held, MB</tspan>; '
        f'<tspan fill="#bc4c00">open files: {said}</tspan></text></svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
