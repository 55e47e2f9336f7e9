"""How many pictures a second the graphs of a bundle encode and draw, next to torch with the same weights.

    python benchmarks/throughput.py [--bundle DIR] [--threads 1 2] [--batch 256] [--json FILE]

Contestants take turns in one process: torch eager, torch.compile, ours in fp32, and ours in int8, which
ships or is made anew from the bundle. Ours are `Bundle.encode` and `Bundle.generate` from arrays to arrays,
with all their checks; torch's are the network alone, from tensors to tensors. Each turn is one batch that
does not count and five that do; the figure is the median over all turns. Before any timing the outputs of
torch and ours are compared. `ratio` is to the faster of torch's two, by the medians and by the fastest
batches: on a busy machine the latter says more.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from side_by_side import arguments, environment, median, report, take_turns
from torch_twin import EncoderTwin, generator_twin

from infogan_tool.export.ship import ship
from infogan_tool.runtime.bundle import find_bundle, load_bundle
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
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    machine = environment()
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        paths = {"fp32": find_bundle(options.bundle), "int8": find_bundle("mnist-int8")}
        if options.bundle:
            paths["int8"] = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "int8"
            ship(options.bundle, out=paths["int8"], precision="int8")
        for threads in options.threads:
            torch.set_num_threads(threads)
            torch.compiler.reset()
            bundles = {name: load_bundle(path, device="cpu", threads=threads) for name, path in paths.items()}
            for part in ("encoder", "generator"):
                seconds = race(part, bundles, options.batch, options.rounds)
                rows += table(part, threads, options.batch, seconds)
    report(rows, list(rows[0]), machine, options.json)


@torch.inference_mode()
def race(part: str, bundles: dict[str, Bundle], batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each batch by contestant.

    Raises:
        SystemExit: torch and ours do not compute the same.
    """
    bundle = bundles["fp32"]
    latents = bundle.sample(batch, seed=0)
    images = bundle.generate(latents)
    if part == "encoder":
        content, twin_of, feeds = (bundle.path / ENCODER_FILE).read_bytes(), EncoderTwin, {"images": images}
    else:
        content, twin_of = (bundle.path / GENERATOR_FILE).read_bytes(), generator_twin
        feeds = {name: getattr(latents, name) for name in generator_inputs(bundle.latent)}
    twin = twin_of(content).eval()
    tensors = [torch.from_numpy(array) for array in feeds.values()]
    outputs = twin(*tensors)
    ours = GraphSession(content, device="cpu").run(feeds).values()
    theirs = outputs if isinstance(outputs, tuple) else (outputs,)
    worst = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(theirs, ours, strict=True))
    if not worst <= TOLERANCE:
        raise SystemExit(f"{part}: torch and the graph differ by {worst:g}")
    compiled = torch.compile(twin)
    contestants: dict[str, Callable[[], object]] = {
        "torch eager": partial(twin, *tensors),
        "torch.compile": partial(compiled, *tensors),
    }
    for name, opened in bundles.items():
        contestants[f"ours, {name}"] = (
            partial(opened.encode, images) if part == "encoder" else partial(opened.generate, latents)
        )
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
