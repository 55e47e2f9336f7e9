"""Images per second that the graphs of a bundle encode and generate, compared with torch.

    python benchmarks/throughput.py [--bundle DIR] [--threads 1 2] [--batch 256] [--json FILE]
    python benchmarks/throughput.py --device cuda [--bundle DIR] [--threads 2] [--batch 256] [--json FILE]

Variants take turns in one process: torch eager, torch.compile, ours in fp32, and ours in int8, which is
pretrained or made from the bundle. Ours are `Bundle.encode` and `Bundle.generate` from arrays to arrays, with
all their checks; those of torch are the network alone, from tensors to tensors. Each turn is one batch that
does not count and five that do; the result is the median over all turns. Before any timing the outputs of
torch and ours are compared. `ratio` is to the faster of torch's two, by the medians and by the fastest
batches: on a busy machine the latter is more reliable.

With `--device cuda` torch eager is on the GPU beside ours there, in float32 without TF32, and ours in fp32 on
the CPU with each number of threads. All go from arrays in the computer's memory to such, so that copies count
for both; torch is shown once more with its tensors on the GPU already. Ours has run each of its batch sizes
before any turn, torch its one. `ratio` is to torch eager with its copies.
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

from infogan_tool.export.outputs import export_outputs
from infogan_tool.runtime.bundle.bundle import find_bundle, load_bundle
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE, GENERATOR_FILE, generator_inputs
from infogan_tool.runtime.errors import DeviceError
from infogan_tool.runtime.inference.session import CUDA_PROVIDER, GraphSession

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from torch import Tensor, nn

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

REACH = {("encoder", "fp32"): 1.3, ("encoder", "int8"): 2.5, ("generator", "fp32"): 2.0}
TORCH = ("torch eager", "torch.compile")
TORCH_ON_GPU = ("torch eager, GPU",)
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-4}


def main() -> None:
    """Time all variants and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    machine = environment()
    rows = on_gpu(options, machine) if options.device == "cuda" else on_cpu(options)
    report(rows, list(rows[0]), machine, options.json)


def on_cpu(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Race on the CPU, with each number of threads."""
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        paths = {"fp32": find_bundle(options.bundle), "int8": find_bundle("mnist-int8")}
        if options.bundle:
            paths["int8"] = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "int8"
            export_outputs(options.bundle, out=paths["int8"], precision="int8")
        for threads in options.threads:
            torch.set_num_threads(threads)
            torch.compiler.reset()
            bundles = {name: load_bundle(path, device="cpu", threads=threads) for name, path in paths.items()}
            for part in ("encoder", "generator"):
                seconds = race(part, bundles, options.batch, options.rounds)
                rows += table(part, threads, options.batch, seconds, TORCH)
    return rows


def on_gpu(options: argparse.Namespace, machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Race on the GPU.

    Raises:
        SystemExit: There is none, or torch or onnxruntime cannot use it.
    """
    if not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch can use no GPU here")
    path = find_bundle(options.bundle)
    ours = load_bundle(path, device="cuda")
    try:
        ours.open_graphs()
    except DeviceError as error:
        raise SystemExit(f"--device cuda: {error}") from error
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    machine["gpu"] = torch.cuda.get_device_name()
    machine["processor"] += f" with {machine['gpu']}"
    rows: list[dict[str, Any]] = []
    for part in ("encoder", "generator"):
        bundles = {"fp32, GPU": ours}
        bundles |= {
            f"fp32, CPU, {threads} threads": load_bundle(path, device="cpu", threads=threads)
            for threads in options.threads
        }
        seconds = race_on_gpu(part, bundles, options.batch, options.rounds, torch.device("cuda"))
        rows += table(part, "", options.batch, seconds, TORCH_ON_GPU)
    return rows


@torch.inference_mode()
def race(part: str, bundles: dict[str, Bundle], batch: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each batch by variant.

    Raises:
        SystemExit: torch and ours do not compute the same.
    """
    twin, tensors, calls = variants_of(part, bundles, batch)
    compiled = torch.compile(twin)
    variants = {
        "torch eager": partial(twin, *tensors),
        "torch.compile": partial(compiled, *tensors),
    }
    return take_turns(variants | calls, rounds)


@torch.inference_mode()
def race_on_gpu(
    part: str, bundles: dict[str, Bundle], batch: int, rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Return the seconds of each batch by variant, each from call to result.

    Raises:
        SystemExit: torch and ours do not compute the same.
    """
    twin, tensors, calls = variants_of(part, bundles, batch)
    twin = twin.to(device)
    there = [tensor.to(device) for tensor in tensors]

    def with_copies() -> object:
        found = twin(*(tensor.to(device) for tensor in tensors))
        return [values.cpu() for values in (found if isinstance(found, tuple) else (found,))]

    def on_device_alone() -> None:
        twin(*there)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    variants: dict[str, Callable[[], object]] = {
        TORCH_ON_GPU[0]: with_copies,
        "torch eager, GPU, without copies": on_device_alone,
    }
    return take_turns(variants | calls, rounds)


def variants_of(
    part: str, bundles: dict[str, Bundle], batch: int
) -> tuple[nn.Module, list[Tensor], dict[str, Callable[[], object]]]:
    """Return torch's network on the CPU, its tensors, and our calls by name, all of the same batch.

    Raises:
        SystemExit: torch and a bundle in fp32 do not compute the same.
    """
    bundle = next(iter(bundles.values()))
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
    theirs = outputs if isinstance(outputs, tuple) else (outputs,)
    devices: set[Device] = {
        "cuda" if opened.provider == CUDA_PROVIDER else "cpu" for opened in bundles.values()
    }
    for device in sorted(devices):
        ours = GraphSession(content, device=device).run(feeds).values()
        worst = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(theirs, ours, strict=True))
        if not worst <= TOLERANCE[device]:
            raise SystemExit(f"{part} on {device}: torch and the graph differ by {worst:g}")
    calls: dict[str, Callable[[], object]] = {}
    for name, opened in bundles.items():
        calls[f"ours, {name}"] = (
            partial(opened.encode, images) if part == "encoder" else partial(opened.generate, latents)
        )
    return twin, tensors, calls


def table(
    part: str, threads: int | str, batch: int, seconds: dict[str, list[float]], against: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the rows of one race; ratios are to the faster of ``against``."""
    best = min(median(seconds[name]) for name in against)
    fastest = min(min(seconds[name]) for name in against)
    rows = []
    for name, times in seconds.items():
        reach = REACH.get((part, name.removeprefix("ours, ")))
        rows.append(
            {
                "graph": part,
                "threads": threads,
                "variant": name,
                "images a second": round(batch / median(times)),
                "ratio": best / median(times),
                "of the fastest": fastest / min(times),
                "reach": f">= {reach}" if reach else "",
            }
        )
    return rows


if __name__ == "__main__":
    main()
