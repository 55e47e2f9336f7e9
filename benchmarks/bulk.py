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

import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from side_by_side import documented_parser, environment, print_machine, print_table, run_tool

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode.decoding import Decoded, find_plain
from infogan_tool.runtime.bulk.encode.encoded import encode_chunk
from infogan_tool.runtime.bulk.inputs.sources import Inputs
from infogan_tool.runtime.bulk.output.formats import make_format
from infogan_tool.runtime.images.idx import open_idx
from infogan_tool.runtime.inference.shards import BATCH_ROWS

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
    command = ["encode", str(source), "--out", str(out), "--force", "--device", "cpu", "--no-progress"]
    seconds, peak = run_tool(*command, "--threads", str(threads), "--bundle", name)
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != count:
        raise SystemExit(f"{' '.join(command)}: {lines:,} lines")
    return count / seconds, peak


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


def main() -> None:
    """Run the rounds and print the tables."""
    parser = documented_parser(__doc__)
    parser.add_argument("--count", type=int, default=70_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    machine = environment()
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
    print(f"\n{options.count:,} images, {options.rounds} rounds, {options.threads} threads")
    print_machine(machine)
    print_results(rates, memory, parts)


def write_quarter(images: np.ndarray, folder: Path) -> dict[str, Path]:
    """Write a quarter of the images likewise; return the places."""
    place = folder / "quarter"
    place.mkdir()
    write_inputs(images[: len(images) // 4], place)
    return {"png": place / "png", "idx": place / "idx"}


def print_results(
    rates: dict[str, list[float]], memory: dict[str, float], parts: dict[str, dict[str, float]]
) -> None:
    """Print the tables."""
    print_table(
        [
            {
                "what": what,
                "images a second, median": round(median(found)),
                "least": round(min(found)),
                "greatest": round(max(found)),
            }
            for what, found in rates.items()
        ]
    )
    print()
    pairs = [
        pair
        for bundle in BUNDLES
        for pair in (
            (f"{bundle}: encode png", "decoding alone, processes"),
            (f"{bundle}: encode png", "decoding alone, threads"),
            (f"{bundle}: encode idx", f"{bundle}: encoder alone"),
        )
    ]
    ratios = {pair: [a / b for a, b in zip(*map(rates.get, pair), strict=True)] for pair in pairs}
    print_table(
        [
            {
                "ratio, each round": f"{what} : {against}",
                "median": median(found),
                "rounds": ", ".join(f"{ratio:.2f}" for ratio in found),
            }
            for (what, against), found in ratios.items()
        ]
    )
    print()
    print_table(
        [{"peak memory of the command": what, "MB": round(peak)} for what, peak in sorted(memory.items())]
    )
    print()
    print_table(
        [
            {
                "processor microseconds an image": what,
                **{part: f"{value:.1f}" for part, value in spent.items()},
                "sum": f"{sum(spent.values()):.1f}",
            }
            for what, spent in parts.items()
        ]
    )


if __name__ == "__main__":
    main()
