"""Encode very many images in one process, and watch its memory and open files.

    python benchmarks/soak.py --encodes 1000000 --csv soak.csv --plot soak.svg

Each encode is one image through ``Bundle.encode``; every hundredth is read from its file before. After the
warm-up (a tenth of the run) memory and open files must stay as they are: the command ends with 1 if memory
grows by more than 2 % and 8 MB, or any file stays open.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from soaking import add_outputs, curve, frame, memory_mb, open_files, since_warm_up, tell

from infogan_tool.runtime import load_bundle, read_image

_SAMPLES = 200
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
    add_outputs(parser)
    options = parser.parse_args()
    samples = soak(options.encodes, options.threads)
    results = summarise(samples)
    tell(options, samples, results, plot(samples))
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


def summarise(samples: list[Sample]) -> dict[str, object]:
    """Return the results, and whether memory and open files were flat after the warm-up."""
    after = samples[len(samples) // 10 :]
    return {
        "encodes": samples[-1].encodes,
        "a second": round(samples[-1].encodes / samples[-1].seconds),
        **since_warm_up(after),
    }


def plot(samples: list[Sample]) -> str:
    """Return the memory by encodes as an SVG."""
    held, done = [sample.memory_mb for sample in samples], [sample.encodes for sample in samples]
    most = max(held) * 1.1
    files = f"open files: {samples[0].files} at the first, {samples[-1].files} at the last"
    line = curve(done, held, most, "#0550ae")
    return frame(line, most, f"{done[-1]:,} encodes", f"memory held, MB; {files}")


if __name__ == "__main__":
    sys.exit(main())
