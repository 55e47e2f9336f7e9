"""Bulk encoding, compared with decoding alone and with the encoder alone.

    python benchmarks/bulk.py [--count 70000] [--rounds 3] [--threads 2] [--folder /some/empty/folder]

The images are the bundled MNIST, as PNG files in a folder and as one IDX file; the bundles are `mnist`
(in fp32) and `mnist-int8`. In each round, one after the other: Pillow decoding all files in processes and
in threads; and of each bundle the encoder alone on arrays in memory, `encode FOLDER --out FILE.jsonl` and
`encode IDX --out FILE.jsonl`. The commands are timed whole, interpreter start and file writing included,
with bytecode compiled as an installation has it. Memory is the peak of the encoding process, at a quarter
of the images and at all. The last table has the processor time of each part of the command for a quarter of
the images, in one thread. Prints Markdown, with machine and versions.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode.decoding import Decoded, find_plain
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.bulk.output.formats import make_format
from infogan_tool.runtime.images.idx import open_idx
from infogan_tool.runtime.inference.shards import BATCH_ROWS

COMMAND = """
import re, sys
from infogan_tool.cli.main import main
code = main(sys.argv[1:])
# Not getrusage: a process begins with the peak of the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""
"""The command, and its peak memory in KB on standard output."""
BUNDLES = ("mnist", "mnist-int8")
TASK = 64
PER_FOLDER = 1000


def mnist(count: int) -> np.ndarray:
    """Return the first ``count`` images of training and test set together, uint8 (N, 28, 28)."""
    parts = []
    for name in ("train", "t10k"):
        path = resources.files("infogan_tool.train.data") / "mnist" / f"{name}-images-idx3-ubyte.gz"
        with open_idx(Path(str(path)), 3) as stream:
            part = np.empty(stream.shape, np.uint8)
            stream.fill(part.reshape(-1).data)
        parts.append(part)
    together = np.concatenate(parts)
    if count > len(together):
        raise SystemExit(f"there are {len(together):,} images")
    return together[:count]


def write_inputs(images: np.ndarray, folder: Path) -> list[Path]:
    """Write ``png/`` and ``idx`` into ``folder``; return the PNG files."""
    sizes = b"".join(length.to_bytes(4, "big") for length in images.shape)
    (folder / "idx").write_bytes(bytes((0, 0, 8, 3)) + sizes + images.tobytes())
    paths = []
    for number, image in enumerate(images):
        below = folder / "png" / f"{number // PER_FOLDER:03d}"
        below.mkdir(parents=True, exist_ok=True)
        paths.append(below / f"{number:05d}.png")
        Image.fromarray(image).save(paths[-1])
    return paths


def decode(paths: list[str]) -> int:
    """Decode files with Pillow and nothing else."""
    total = 0
    for path in paths:
        with Image.open(path) as image:
            total += np.asarray(image.convert("L")).size
    return total


def time_decoding(pool: Executor, paths: list[Path]) -> float:
    """Return images a second; the pool is warm."""
    names = [str(path) for path in paths]
    tasks = [names[start : start + TASK] for start in range(0, len(names), TASK)]
    list(pool.map(decode, tasks[:8]))
    start = time.perf_counter()
    total = sum(pool.map(decode, tasks))
    seconds = time.perf_counter() - start
    if total != len(paths) * 28 * 28:
        raise SystemExit("not all was decoded")
    return len(paths) / seconds


def time_encoder(images: np.ndarray, threads: int, name: str) -> float:
    """Return images a second through an open encoder, in batches as the command uses them."""
    bundle = load_bundle(name, device="cpu", threads=threads)
    bundle.encode(images[: 4 * BATCH_ROWS])
    start = time.perf_counter()
    for first in range(0, len(images), BATCH_ROWS):
        bundle.encode(images[first : first + BATCH_ROWS])
    return len(images) / (time.perf_counter() - start)


def time_command(source: Path, out: Path, count: int, threads: int, name: str) -> tuple[float, float]:
    """Return images a second of a whole command, and its peak memory in MB."""
    command = [sys.executable, "-c", COMMAND, "encode", str(source), "--out", str(out), "--force"]
    command += ["--device", "cpu", "--threads", str(threads), "--no-progress", "--bundle", name]
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=kept)  # noqa: S603
    seconds = time.perf_counter() - start
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != count:
        raise SystemExit(f"{' '.join(command)}: {lines:,} lines")
    return count / seconds, int(done.stdout) / 1024


def time_parts(source: Path, name: str) -> dict[str, float]:
    """Return the processor time of each part of the command, in microseconds an image."""
    bundle = load_bundle(name, device="cpu", threads=1)
    bundle.encode(np.zeros((1, 28, 28), np.uint8))
    record_format = make_format("jsonl", bundle)
    spent = dict.fromkeys(("listing", "reading", "encoder", "records"), 0.0)
    count = 0
    chunks = iter(Inputs([str(source)], bundle.image, column=None, stdin=None).chunks())
    while True:
        began = time.thread_time()
        chunk = next(chunks, None)
        listed = time.thread_time()
        if chunk is None:
            return {part: 1e6 * seconds / count for part, seconds in spent.items()}
        images = chunk.ready(bundle.image, raw=False)
        if images is None:
            images = find_plain(list(chunk.sources()), bundle.image, raw=False).images
        read = time.thread_time()
        encoded = encode_chunk(bundle, chunk, Decoded(images, {}))
        coded = time.thread_time()
        record_format.rows(encoded.names, encoded.posterior)
        ends = listed, read, coded, time.thread_time()
        for part, start, end in zip(spent, (began, *ends), ends, strict=False):
            spent[part] += end - start
        count += len(encoded.names)


def versions() -> str:
    """Return machine and versions in a line."""
    found = []
    for name in ("onnxruntime-gpu", "onnxruntime", "numpy", "pillow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores usable; Python {platform.python_version()}, {', '.join(found)}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=70_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        images = mnist(options.count)
        paths = write_inputs(images, folder)
        rates: dict[str, list[float]] = {}
        memory: dict[str, float] = {}
        # First, so that bytecode and the system's cache of files are as in any run but the first.
        quarter = write_quarter(images, folder)
        for kind, source in quarter.items():
            count, target = len(images) // 4, folder / "q.jsonl"
            for bundle in BUNDLES:
                peak = time_command(source, target, count, options.threads, bundle)[1]
                memory[f"{bundle}: encode {kind}, a quarter"] = peak
        with (
            ProcessPoolExecutor(options.threads, mp_context=get_context("spawn")) as processes,
            ThreadPoolExecutor(options.threads) as threads,
        ):
            for _ in range(options.rounds):
                measured = {
                    "decoding alone, processes": time_decoding(processes, paths),
                    "decoding alone, threads": time_decoding(threads, paths),
                }
                for bundle in BUNDLES:
                    measured[f"{bundle}: encoder alone"] = time_encoder(images, options.threads, bundle)
                    for kind in ("png", "idx"):
                        rate, peak = time_command(
                            folder / kind, folder / "out.jsonl", len(images), options.threads, bundle
                        )
                        what = f"{bundle}: encode {kind}"
                        measured[what] = rate
                        memory[what] = max(peak, memory.get(what, 0))
                for what, rate in measured.items():
                    rates.setdefault(what, []).append(rate)
        parts = {
            f"{bundle}: encode {kind}": time_parts(source, bundle)
            for bundle in BUNDLES
            for kind, source in quarter.items()
        }
    report(rates, memory, options)
    print("\n| processor microseconds an image | " + " | ".join(next(iter(parts.values()))) + " | sum |")
    print("|---" * 6 + "|")
    for what, spent in parts.items():
        cells = [f"{value:.1f}" for value in (*spent.values(), sum(spent.values()))]
        print(f"| {what} | " + " | ".join(cells) + " |")


def write_quarter(images: np.ndarray, folder: Path) -> dict[str, Path]:
    """Write a quarter of the images likewise; return the places."""
    place = folder / "quarter"
    place.mkdir()
    write_inputs(images[: len(images) // 4], place)
    return {"png": place / "png", "idx": place / "idx"}


def report(rates: dict[str, list[float]], memory: dict[str, float], options: argparse.Namespace) -> None:
    """Print the tables."""
    print(f"\n{versions()}; {options.count:,} images, {options.rounds} rounds, {options.threads} threads\n")
    print("| what | images a second, median | least | greatest |\n|---|---|---|---|")
    for what, found in rates.items():
        print(f"| {what} | {statistics.median(found):,.0f} | {min(found):,.0f} | {max(found):,.0f} |")
    print("\n| ratio, each round | median | rounds |\n|---|---|---|")
    for what, against in (
        pair
        for bundle in BUNDLES
        for pair in (
            (f"{bundle}: encode png", "decoding alone, processes"),
            (f"{bundle}: encode png", "decoding alone, threads"),
            (f"{bundle}: encode idx", f"{bundle}: encoder alone"),
        )
    ):
        ratios = [a / b for a, b in zip(rates[what], rates[against], strict=True)]
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {what} : {against} | {statistics.median(ratios):.2f} | {shown} |")
    print("\n| peak memory of the command | MB |\n|---|---|")
    for what, peak in sorted(memory.items()):
        print(f"| {what} | {peak:.0f} |")


if __name__ == "__main__":
    main()
