"""Read very many spoiled images: ``python tests/hostile/soak_images.py --count 20000``.

Each mutation is read as a short run reads it (its time limited) and must be an image or one printable line.
The command ends with 1 at the first that is neither, takes longer than ten seconds, or is spoken of on
standard error, and says its number: ``mutated(number, seed)`` makes it again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hostile_images import COLOUR, mutated, seeds

from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bulk.decode.deadline import read_with_timeout
from infogan_tool.runtime.errors import ImageError

LONGEST = 10.0
WARM = 2000
"""Mutations after which memory should not grow any more."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000, help="how many mutations (default 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the corpus (default 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON too")
    options = parser.parse_args()
    with tempfile.TemporaryFile() as captured:
        keep, _ = os.dup(2), os.dup2(captured.fileno(), 2)  # what decoders print past Python comes here
        try:
            results = soak(options.count, options.seed, captured.fileno())
        finally:
            os.dup2(keep, 2)
    for key, value in results.items():
        print(f"{key:<28} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if "failed" in results else 0


def soak(count: int, seed: int, errors: int) -> dict[str, object]:
    """Return the results; they include ``failed`` if a mutation was not handled."""
    specs = (load_bundle().image, COLOUR)
    read, refused = Counter[str](), Counter[str]()
    slowest, warm, began = 0.0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        for number in range(count):
            mutation, content = mutated(number, seed)
            kind = mutation.split()[1].partition("/")[0]
            if number % 2:  # libtiff reads files and memory in different ways
                path.write_bytes(content)
            start = time.perf_counter()
            try:
                read_with_timeout(str(path) if number % 2 else content, specs[number // 2 % 2], raw=False)
                read[kind] += 1
            except ImageError as error:
                refused[kind] += 1
                if not str(error).isprintable():
                    return {"failed": mutation, "why": f"a message that is not printable: {error!r}"}
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                return {"failed": mutation, "why": repr(error)}
            slowest = max(slowest, time.perf_counter() - start)
            if slowest > LONGEST:
                return {"failed": mutation, "why": f"it took {slowest:.1f} s"}
            if os.fstat(errors).st_size:
                return {"failed": mutation, "why": "something was printed on standard error"}
            warm = warm if number > WARM else resident_memory()
    return {
        "mutations": count,
        "of files": len(seeds()),
        "still an image": sum(read.values()),
        "refused in one line": sum(refused.values()),
        "by format (read, refused)": {kind: (read[kind], refused[kind]) for kind in sorted(read | refused)},
        "slowest, ms": round(slowest * 1000, 1),
        "a second": round(count / (time.perf_counter() - began)),
        f"memory after {WARM}, MB": warm,
        "memory at the end, MB": resident_memory(),
        "most on the way, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def resident_memory() -> int:
    """Return the memory that the process holds now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


if __name__ == "__main__":
    sys.exit(main())
