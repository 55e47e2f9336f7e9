"""Train for a long time, and watch the memory and the open files of the training from outside.

    python benchmarks/soak_train.py --seconds 7200 --csv soak.csv --plot soak.svg [-- --preset compact]

What follows ``--`` are options of ``infogan-tool train``; by default preset `compact`, which writes metrics,
sample sheets and checkpoints throughout. At the end the training gets SIGTERM, and must save a checkpoint.
After the warm-up (a tenth of the run) memory and open files must stay as they are: the command ends with 1 if
memory grows by more than 2 % and 8 MB, any file stays open, or the training ends otherwise.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from soaking import Sample, curve, frame, memory_mb, open_files, report_soak, since_warm_up, soak_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLES = 400
_INTERRUPTED = 130
_NEW = ["--preset", "compact"]


def main() -> int:
    """Run, print and write."""
    parser = soak_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--run", type=Path, help="resume this run instead of a new one")
    parser.add_argument("options", nargs="*", help="of infogan-tool train")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or Path(folder) / "run"
        command = [sys.executable, "-m", "infogan_tool", "train", "--device", "cpu"]
        if options.run:
            command += [*(options.options or []), "--resume", str(run)]
        else:
            command += ["--epochs", "1000000", *(options.options or _NEW), "--out", str(run)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as training:  # noqa: S603
            samples = list(watched(training, run, options.seconds))
            training.send_signal(signal.SIGTERM)
            ended = training.wait()
        saved = (run / "checkpoints" / "last.safetensors").exists()
    results = summarise(samples, saved=saved and ended == _INTERRUPTED)
    report_soak(options, samples, results, plot(samples), options=options.options)
    return 0 if results["flat"] and results["saved at the end"] else 1


def watched(training: subprocess.Popen[bytes], run: Path, seconds: float) -> Iterator[Sample]:
    """Yield four hundred samples of the training; the time begins with its first metrics."""
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
        yield Sample(
            done=last_step(metrics),
            seconds=round(time.monotonic() - began, 1),
            memory_mb=memory_mb(training.pid),
            files=open_files(training.pid),
        )


def last_step(metrics: Path) -> int:
    """Return the step of the last whole line."""
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - 10_000))
        line = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return int(json.loads(line)["step"])


def summarise(samples: list[Sample], *, saved: bool) -> dict[str, object]:
    """Return the results, and whether memory and open files were flat after the warm-up."""
    after = samples[len(samples) // 10 :]
    return {
        "seconds": samples[-1].seconds,
        "steps": samples[-1].done - samples[0].done,
        **since_warm_up(after),
        "memory at most, MB": max(sample.memory_mb for sample in after),
        "saved at the end": saved,
    }


def plot(samples: list[Sample]) -> str:
    """Return memory and open files by time as an SVG."""
    times, held = [sample.seconds for sample in samples], [sample.memory_mb for sample in samples]
    files = [sample.files for sample in samples]
    most = max(held) * 1.1
    lines = curve(times, held, most, "#0550ae") + curve(times, files, max(files) * 2, "#bc4c00")
    files_text = f"{files[0]} to {files[-1]}, between {min(files)} and {max(files)}"
    below = '<tspan fill="#0550ae">memory held, MB</tspan>; '
    below += f'<tspan fill="#bc4c00">open files: {files_text}</tspan>'
    return frame(
        lines, most, f"{times[-1]:,.0f} seconds, {samples[-1].done - samples[0].done:,} steps", below
    )


if __name__ == "__main__":
    sys.exit(main())
