"""How many pictures a second the graphs of a bundle encode and draw, next to torch with the same weights.

    python benchmarks/throughput.py [--bundle DIR] [--threads 1 2] [--batch 256] [--json FILE]

Contestants take turns in one process: torch eager, torch.compile, ours in fp32, and ours in int8, which is
made anew from the bundle. Each turn is one batch that does not count and five that do; the figure is the
median over all turns. Before any timing the outputs of torch and ours are compared. `ratio` is to the faster
of torch's two, by the medians and by the fastest batches: on a busy machine the latter says more.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from side_by_side import arguments, environment, median, report, take_turns
from torch_twin import EncoderTwin, generator_twin

from infogan_tool.export.ship import ship
from infogan_tool.runtime.bundle import SHIPPED_BUNDLE, load_bundle
from infogan_tool.runtime.contract import ENCODER_FILE, GENERATOR_FILE, generator_inputs
from infogan_tool.runtime.session import GraphSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.runtime.bundle import Bundle

REACH = {("encoder", "fp32"): 1.3, ("encoder", "int8"): 2.5, ("generator", "fp32"): 2.0}
TORCH = ("torch eager", "torch.compile")
TOLERANCE = 1e-5


def main() -> None:
    """Time all contestants and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--bundle", type=Path, default=SHIPPED_BUNDLE)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    machine = environment()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        int8 = Path(scratch) / "int8"
        ship(options.bundle, out=int8, precision="int8")
        for threads in options.threads:
            torch.set_num_threads(threads)
            torch.compiler.reset()
            for part, file in (("encoder", ENCODER_FILE), ("generator", GENERATOR_FILE)):
                feeds = inputs(load_bundle(options.bundle, device="cpu"), part, options.batch)
                contents = {"fp32": (options.bundle / file).read_bytes(), "int8": (int8 / file).read_bytes()}
                seconds = race(part, contents, feeds, threads, options.rounds)
                rows += table(part, threads, options.batch, seconds)
    report(rows, list(rows[0]), machine, options.json)


def inputs(bundle: Bundle, part: str, batch: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return a batch of latents, or of the pictures drawn from them."""
    latents = bundle.sample(batch, seed=0)
    if part == "encoder":
        return {"images": bundle.generate(latents)}
    return {name: getattr(latents, name) for name in generator_inputs(bundle.latent)}


@torch.inference_mode()
def race(
    part: str,
    contents: dict[str, bytes],
    feeds: dict[str, np.ndarray[Any, Any]],
    threads: int,
    rounds: int,
) -> dict[str, list[float]]:
    """Return the seconds of each batch by contestant.

    Raises:
        SystemExit: torch and ours do not compute the same.
    """
    twin = (EncoderTwin if part == "encoder" else generator_twin)(contents["fp32"]).eval()
    tensors = [torch.from_numpy(array) for array in feeds.values()]
    sessions = {
        name: GraphSession(content, device="cpu", threads=threads) for name, content in contents.items()
    }
    outputs = twin(*tensors)
    ours = list(sessions["fp32"].run(feeds).values())
    theirs = outputs if isinstance(outputs, tuple) else (outputs,)
    worst = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(theirs, ours, strict=True))
    if not worst <= TOLERANCE:
        raise SystemExit(f"{part}: torch and the graph differ by {worst:g}")
    compiled = torch.compile(twin)
    contestants: dict[str, Callable[[], object]] = {
        "torch eager": partial(twin, *tensors),
        "torch.compile": partial(compiled, *tensors),
        "ours, fp32": partial(sessions["fp32"].run, feeds),
        "ours, int8": partial(sessions["int8"].run, feeds),
    }
    return take_turns(contestants, rounds)


def table(part: str, threads: int, batch: int, seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return the rows of one race."""
    best = min(median(seconds[name]) for name in TORCH)
    fastest = min(min(seconds[name]) for name in TORCH)
    rows = []
    for name, times in seconds.items():
        reach = REACH.get((part, name.removeprefix("ours, ")))
        rows.append(
            {
                "graph": part,
                "threads": threads,
                "contestant": name,
                "pictures a second": round(batch / median(times)),
                "ratio": best / median(times),
                "of the fastest": fastest / min(times),
                "reach": f">= {reach}" if reach else "",
            }
        )
    return rows


if __name__ == "__main__":
    main()
