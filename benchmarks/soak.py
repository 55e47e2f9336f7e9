"""Encode very many pictures in one process, and watch its memory and open files.

    python benchmarks/soak.py --encodes 1000000 --csv soak.csv --plot soak.svg

Each encode is one picture through ``Bundle.encode``; every hundredth is read from its file before. After the
warm-up (a tenth of the run) memory and open files must stay as they are: the command ends with 1 if memory
grows by more than 2 % and 8 MB, or any file stays open.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from side_by_side import environment

from infogan_tool.runtime import load_bundle, read_picture

_SAMPLES = 200
_GROWTH, _SLACK_MB = 0.02, 8.0
DIGITS = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.png"))


@dataclass(frozen=True)
class Sample:
    """What the process holds after some encodes."""

    encodes: int
    seconds: float
    memory_mb: float
    files: int


def main() -> int:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encodes", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write what was held, line by line")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args()
    samples = soak(options.encodes, options.threads)
    figures = judged(samples)
    for key, value in figures.items():
        print(f"{key:<26} {value}")
    if options.csv:
        rows = [",".join(map(str, asdict(sample).values())) for sample in samples]
        options.csv.write_text("\n".join([",".join(asdict(samples[0])), *rows]) + "\n")
    if options.plot:
        options.plot.write_text(drawn(samples))
    if options.json:
        options.json.write_text(json.dumps({**environment(), **figures}, indent=2) + "\n")
    return 0 if figures["flat"] else 1


def soak(encodes: int, threads: int) -> list[Sample]:
    """Encode, and return what was held two hundred times on the way."""
    bundle = load_bundle(device="cpu", threads=threads)
    pictures = [read_picture(path, bundle.image)[None] for path in DIGITS]
    expected = [bundle.encode(picture).style_mean.tobytes() for picture in pictures]
    samples, every, began = [], max(1, encodes // _SAMPLES), time.perf_counter()
    for number in range(1, encodes + 1):
        which = number % len(pictures)
        picture = pictures[which]
        if number % 100 == 0:
            picture = read_picture(DIGITS[which], bundle.image)[None]
        if bundle.encode(picture).style_mean.tobytes() != expected[which]:
            raise SystemExit(f"encode {number} differs from the first of the same picture")
        if number % every == 0:
            samples.append(Sample(number, round(time.perf_counter() - began, 2), memory_mb(), open_files()))
    return samples


def judged(samples: list[Sample]) -> dict[str, object]:
    """Return the figures, and whether memory and open files were flat after the warm-up."""
    after = samples[len(samples) // 10 :]
    # The middle of a few, because an allocator gives back and takes again.
    first, last = (float(np.median([s.memory_mb for s in part])) for part in (after[:10], after[-10:]))
    files = after[-1].files - after[0].files
    return {
        "encodes": samples[-1].encodes,
        "a second": round(samples[-1].encodes / samples[-1].seconds),
        "memory after warm-up, MB": round(first, 1),
        "memory at the end, MB": round(last, 1),
        "open files more": files,
        "flat": last - first <= max(_SLACK_MB, _GROWTH * first) and files <= 0,
    }


def memory_mb() -> float:
    """Return the memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2)


def open_files() -> int:
    """Return how many files, pipes and sockets are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def drawn(samples: list[Sample]) -> str:
    """Return the memory by encodes as an SVG."""
    width, height, left, top = 720, 240, 60, 20
    most = max(sample.memory_mb for sample in samples) * 1.1
    end = samples[-1].encodes
    points = " ".join(
        f"{left + s.encodes / end * (width - left - 20):.1f},{top + (1 - s.memory_mb / most) * height:.1f}"
        for s in samples
    )
    marks = "".join(
        f'<text x="{left - 6}" y="{top + (1 - part) * height + 4:.0f}" text-anchor="end">'
        f"{most * part:.0f}</text>"
        for part in (0, 0.5, 1)
    )
    files = f"open files: {samples[0].files} at the first, {samples[-1].files} at the last"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 70}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{left} {top}V{top + height}H{width - 20}" fill="none" stroke="#888"/>{marks}'
        f'<polyline points="{points}" fill="none" stroke="#0550ae" stroke-width="1.5"/>'
        f'<text x="{left}" y="{top + height + 20}">0</text>'
        f'<text x="{width - 20}" y="{top + height + 20}" text-anchor="end">{end:,} encodes</text>'
        f'<text x="{left}" y="{top + height + 40}">memory held, MB; {files}</text></svg>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
