"""Encode with 1, 2 and 8 threads in one process, and with 4 processes at once; all must return the same.

    python benchmarks/load.py --seconds 20

Each worker encodes the same batch, of 1 or of 64 images, over and over, and its codes are compared with those
of a single thread, to the bit. The command ends with 1 if they differ, or if a worker does not return in
time, as in a deadlock.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from side_by_side import documented_parser, environment, report

from infogan_tool.runtime import load_bundle

if TYPE_CHECKING:
    from infogan_tool.runtime import Bundle

_BATCHES = (1, 64)
_GRACE = 60.0


def main() -> int:
    """Run, print and write."""
    parser = documented_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row (default 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    options = parser.parse_args()
    rows = measured(options.seconds)
    report(rows, environment(), options.json)
    return 0 if all(row["same"] and row["returned"] for row in rows) else 1


def measured(seconds: float) -> list[dict[str, object]]:
    """Return a row for each number of workers and size of batch."""
    rows: list[dict[str, object]] = []
    for batch in _BATCHES:
        rows += [
            {"batch": batch, "threads": threads, "processes": 1, **_threads(threads, batch, seconds)}
            for threads in (1, 2, 8)
        ]
        rows.append({"batch": batch, "threads": 1, "processes": 4, **_processes(4, batch, seconds)})
    return rows


def images(bundle: Bundle) -> np.ndarray:
    """Return the images that every worker encodes."""
    shape = (max(_BATCHES), bundle.image.size, bundle.image.size, bundle.image.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def encoded(bundle: Bundle, images: np.ndarray) -> bytes:
    """Return all outputs of an encoder for a batch."""
    posterior = bundle.encode(images)
    parts = (*posterior.probabilities, posterior.style_mean, posterior.style_std, posterior.distance)
    return b"".join(part.tobytes() for part in parts if part is not None)


def _work(bundle: Bundle, batch: int, expected: bytes, seconds: float) -> tuple[int, bool]:
    """Return how many images were encoded, and whether all codes were as expected."""
    given, done, same = images(bundle)[:batch], 0, True
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        same &= encoded(bundle, given) == expected
        done += batch
    return done, same


def _threads(count: int, batch: int, seconds: float) -> dict[str, object]:
    bundle = load_bundle(device="cpu", threads=1)
    expected = encoded(load_bundle(device="cpu", threads=1), images(bundle)[:batch])
    found: list[tuple[int, bool]] = []
    workers = [
        threading.Thread(target=lambda: found.append(_work(bundle, batch, expected, seconds)), daemon=True)
        for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(seconds + _GRACE)
    return _row(found, count, seconds)


def _child(
    batch: int, expected: bytes, seconds: float, results: multiprocessing.SimpleQueue[tuple[int, bool]]
) -> None:
    results.put(_work(load_bundle(device="cpu", threads=1), batch, expected, seconds))


def _processes(count: int, batch: int, seconds: float) -> dict[str, object]:
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    bundle = load_bundle(device="cpu", threads=1)
    expected = encoded(bundle, images(bundle)[:batch])
    workers = [
        context.Process(target=_child, args=(batch, expected, seconds, queue), daemon=True)
        for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(seconds + _GRACE)
    back = [worker for worker in workers if worker.exitcode == 0]
    for worker in workers:
        worker.kill()
    return _row([queue.get() for _ in back], count, seconds)


def _row(found: list[tuple[int, bool]], count: int, seconds: float) -> dict[str, object]:
    return {
        "images/s": round(sum(done for done, _ in found) / seconds),
        "same": all(same for _, same in found),
        "returned": len(found) == count,
    }


if __name__ == "__main__":
    sys.exit(main())
