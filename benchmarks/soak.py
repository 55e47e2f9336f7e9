"""Encode very many images in one process, and watch its memory and open files.

    python benchmarks/soak.py --encodes 1000000 --csv soak.csv --plot soak.svg

Each encode is one image through ``Bundle.encode``; every hundredth is read from its file before. After the
warm-up (a tenth of the run) memory and open files must stay as they are: the command ends with 1 if memory
grows by more than 2 % and 8 MB, or any file stays open.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from soaking import Sample, memory_mb, memory_plot, open_files, report_soak, since_warm_up, soak_parser

from infogan_tool.runtime import load_bundle, read_image

_SAMPLES = 200
DIGITS = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.png"))


def main() -> int:
    """Run, print and write."""
    parser = soak_parser(__doc__)
    parser.add_argument("--encodes", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    samples = soak(options.encodes, options.threads)
    first, last = samples[0], samples[-1]
    results = {
        "encodes": last.done,
        "a second": round(last.done / last.seconds),
        **since_warm_up(samples[len(samples) // 10 :]),
    }
    below = f"memory held, MB; open files: {first.files} at the first, {last.files} at the last"
    report_soak(options, samples, results, memory_plot(samples, f"{last.done:,} encodes", below))
    return 0 if results["flat"] else 1


def soak(encodes: int, threads: int) -> list[Sample]:
    """Encode, and return what was held two hundred times on the way."""
    bundle = load_bundle(device="cpu", threads=threads)
    images = [read_image(path, bundle.image)[None] for path in DIGITS]
    expected = [bundle.encode(image).style_mean.tobytes() for image in images]
    samples, every, began = [], max(1, encodes // _SAMPLES), time.perf_counter()
    for number in range(1, encodes + 1):
        which = number % len(images)
        image = images[which]
        if number % 100 == 0:
            image = read_image(DIGITS[which], bundle.image)[None]
        if bundle.encode(image).style_mean.tobytes() != expected[which]:
            raise SystemExit(f"encode {number} differs from the first of the same image")
        if number % every == 0:
            samples.append(Sample(number, round(time.perf_counter() - began, 2), memory_mb(), open_files()))
    return samples


if __name__ == "__main__":
    sys.exit(main())
