"""Encode millions of images with one command, kill it on the way, resume, and watch its memory.

    python benchmarks/soak_encode.py --images 2000000 [--bundle mnist-int8] [--threads 2] [--plot FILE.svg]

The images are generated ones, in IDX files of 100,000 that are links to one file, so that only the records
need space (about 250 bytes an image). The command is killed after a third of the images, and the same command
with `--resume` does the rest. The records of all files must be the same. Memory is what the process holds for
itself, without the mapped files, of which the last four stay open. After the warm-up (a third) memory and
open files must stay as they are: the command ends with 1 if memory grows by more than 2 % and 8 MB, or any
file stays open. Needs Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

import numpy as np
from soaking import Sample, memory_mb, memory_plot, open_files, report_soak, since_warm_up, soak_parser

from infogan_tool.runtime import load_bundle

FILE_IMAGES = 100_000
BATCH = 10_000


def main() -> int:
    """Run, print and write."""
    parser = soak_parser(__doc__)
    parser.add_argument("--images", type=int, default=2_000_000, help="a multiple of 100,000")
    parser.add_argument("--bundle", default="mnist-int8", help="of grey images")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the files are made; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        count = max(2, round(options.images / FILE_IMAGES))
        files = write_files(folder, options.bundle, count)
        out = folder / "codes.csv"
        command = [sys.executable, "-m", "infogan_tool", "encode", *map(str, files), "--out", str(out)]
        command += ["--raw", "--device", "cpu", "--bundle", options.bundle, "--no-progress"]
        command += ["--threads", str(options.threads)]
        total = count * FILE_IMAGES
        killed = run(command, out, stop=total // 3)
        resumed = run([*command, "--resume"], out, stop=None)
        check_records(out, count)
    results = summarise(killed, resumed, total)
    below = "memory held, MB; the run was resumed after a kill"
    report_soak(options, resumed, results, memory_plot(resumed, f"{resumed[-1].done:,} images", below))
    return 0 if results["flat"] else 1


def write_files(folder: Path, bundle_name: str, count: int) -> list[Path]:
    """Write an IDX file of generated images, and links to it; return all of them."""
    bundle = load_bundle(bundle_name, device="cpu")
    size, channels = bundle.image.size, bundle.image.channels
    if channels != 1:
        raise SystemExit(f"{bundle_name} has {channels} channels; IDX files have one")
    header = bytes((0, 0, 8, 3)) + b"".join(n.to_bytes(4, "big") for n in (FILE_IMAGES, size, size))
    low, high = bundle.image.low, bundle.image.high
    files = [folder / f"{number:04d}-images-idx3-ubyte" for number in range(count)]
    with files[0].open("wb") as file:
        file.write(header)
        for start in range(0, FILE_IMAGES, BATCH):
            images = bundle.generate(bundle.sample(BATCH, seed=0, start=start))
            file.write(np.rint((images - low) * (255 / (high - low))).astype(np.uint8).tobytes())
    for link in files[1:]:
        link.hardlink_to(files[0])
    return files


def run(command: list[str], out: Path, stop: int | None) -> list[Sample]:
    """Run the command and sample it twice a second; kill it after ``stop`` images.

    Raises:
        SystemExit: It failed, or ended before it was to be killed.
    """
    journal = out.with_name(f"{out.name}.part.journal")
    samples, began = [], time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own command
        while process.poll() is None:
            time.sleep(0.5)
            try:
                done = json.loads(journal.read_text())["inputs"]
                held, files = own_memory_mb(process.pid), open_files(process.pid)
            except (OSError, IndexError):  # it has not begun, or has ended
                continue
            samples.append(Sample(done, round(time.perf_counter() - began, 2), held, files))
            if stop is not None and done >= stop:
                process.kill()
                process.wait()
    if bool(process.returncode) != (stop is not None) or not samples:
        raise SystemExit(f"the command ended with {process.returncode} after {len(samples)} looks")
    return samples


def own_memory_mb(process: int) -> float:
    """Return the memory that a process holds, without that of mapped files."""
    shared = int((Path("/proc") / str(process) / "statm").read_text().split()[2])
    return memory_mb(process) - shared * os.sysconf("SC_PAGE_SIZE") / 1e6


def check_records(out: Path, count: int) -> None:
    """Check that every file has the same records, but for their paths.

    Raises:
        SystemExit: One has others.
    """
    with out.open("rb") as lines:
        next(lines)
        digests = set()
        for _ in range(count):
            digest = blake2b()
            for _ in range(FILE_IMAGES):
                digest.update(next(lines).partition(b",")[2])
            digests.add(digest.digest())
        if len(digests) != 1 or next(lines, None) is not None:
            raise SystemExit("the files have different records")


def summarise(killed: list[Sample], resumed: list[Sample], total: int) -> dict[str, object]:
    """Return the results, and whether memory and open files were flat after the warm-up."""
    after = resumed[len(resumed) // 3 :]
    seconds = after[-1].seconds - after[0].seconds
    return {
        "images": total,
        "killed after": killed[-1].done,
        "a second": round((after[-1].done - after[0].done) / seconds) if seconds else 0,
        "memory when killed, MB": round(killed[-1].memory_mb, 1),
        **since_warm_up(after),
    }


if __name__ == "__main__":
    sys.exit(main())
