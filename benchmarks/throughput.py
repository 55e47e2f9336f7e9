"""Images per second that the graphs of a bundle encode and generate, compared with other runtimes.

    python benchmarks/throughput.py [--bundle DIR] [--threads 1 2] [--batch 256] [--json FILE]
    python benchmarks/throughput.py --device cuda [--bundle DIR] [--threads 2] [--batch 256] [--json FILE]

Variants take turns in one process: in fp32, bf16 where the CPU has it, and int8. Ours are `Bundle.encode` and
`Bundle.generate` from arrays to arrays, with all their checks; the others run the network alone, torch from
tensors to tensors. `torch.compile` in bf16 is autocast. onnxruntime and OpenVINO have their defaults but for
the number of threads, and run the graph that `torch.onnx.export` writes of the layers as trained. `our graph`
is the bundle's own file, as is every int8 graph, which is pretrained or made from the bundle. Each turn is
one batch that does not count and five that do; the result is the median over all turns. `ratio` is to the
fastest of the others in fp32, by the medians and by the fastest batches: on a busy machine the latter is more
reliable. GFLOP/s count the operations of the layers as trained, beside the product of two large matrices in
torch.

A second table has how far the outputs of one batch are from those of torch in fp32: the mean and, in
parentheses, the greatest absolute difference. `codes` are probabilities, means and standard deviations.

With `--device cuda` torch eager is on the GPU beside ours there, in float32 without TF32, and ours in fp32 on
the CPU with each number of threads. All go from arrays in the computer's memory to such, so that copies count
for both; torch is shown once more with its tensors on the GPU already. Ours has run each of its batch sizes
before any turn, torch its one. `ratio` is to torch eager with its copies.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matrix_product import GFLOP, matrix_product
from other_runtimes import export_plainly, has_bf16, open_onnxruntime, open_openvino
from side_by_side import arguments, environment, print_table, report, take_turns
from torch.utils.flop_counter import FlopCounterMode
from torch_twin import GraphTwin, generator_twin

from infogan_tool.export.outputs import export_outputs
from infogan_tool.runtime.bundle.bundle import find_bundle, load_bundle
from infogan_tool.runtime.bundle.metadata import ENCODER_FILE, GENERATOR_FILE, generator_inputs
from infogan_tool.runtime.errors import DeviceError
from infogan_tool.runtime.inference.session import CUDA_PROVIDER, GraphSession

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from other_runtimes import Feeds
    from torch import Tensor, nn

    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.inference.device import Device

REACH = 1.5
"""Goal in fp32: times the fastest other runtime."""
OURS = "infogan-tool"
TORCH_ON_GPU = "torch eager, GPU"
TOLERANCE = {"cpu": 1e-5, "cuda": 1e-4}


@dataclass(frozen=True)
class Variant:
    """One way to run a graph."""

    call: Callable[[], object]
    """Computes one batch; this is timed."""
    outputs: Callable[[], Iterable[npt.NDArray[np.float32]]]
    """Returns the outputs of that batch."""


@dataclass(frozen=True)
class Network:
    """A graph of a bundle in torch, with a batch of inputs."""

    twin: nn.Module
    content: bytes
    feeds: Feeds
    outputs: list[str]
    calls: dict[str, Callable[[], object]]
    """Ours, by the name of the bundle."""

    @property
    def tensors(self) -> list[Tensor]:
        """The inputs in torch."""
        return [torch.from_numpy(array) for array in self.feeds.values()]


def main() -> None:
    """Time all variants and print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    machine = environment()
    if options.device == "cuda":
        rows = on_gpu(options, machine)
        report(rows, machine, options.json)
        return
    rows = on_cpu(options)
    differences = ["codes", "pixels", "OOD score"]
    columns = [column for column in rows[0] if column not in differences]
    report(rows, machine, options.json, columns)
    print()
    compared = [row for row in rows if any(column in row for column in differences)]
    print_table(compared, ["graph", "precision", "variant", *differences])


def on_cpu(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Race on the CPU, with each number of threads; those of the first have the differences too."""
    rows: list[dict[str, Any]] = []
    fast = ["fp32", *(["bf16"] if has_bf16() else [])]
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
                with torch.no_grad():
                    network = network_of(part, bundles, options.batch)
                    variants = variants_of(part, network, bundles, threads, fast)
                    differences = differences_of(network, variants) if threads == options.threads[0] else {}
                    found = race_on_cpu(network, variants, options)
                for key, row in zip(variants, found, strict=True):
                    rows.append({"graph": part, "threads": threads, **row, **differences.get(key, {})})
            products = {name: matrix_product(name) for name in fast}
            for name, times in take_turns(products, max(1, options.rounds // 3)).items():
                product = {"threads": threads, "precision": name, "variant": "matrix product in torch"}
                rows.append(product | {"GFLOP/s": round(GFLOP / median(times))})
    return rows


def race_on_cpu(
    network: Network, variants: dict[tuple[str, str], Variant], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the rows of one graph and number of threads."""
    seconds = take_turns({" ".join(key): variant.call for key, variant in variants.items()}, options.rounds)
    others = {f"fp32 {name}" for precision, name in variants if precision == "fp32" and name != OURS}
    with FlopCounterMode(display=False) as counter:
        network.twin(*network.tensors)
    flop = counter.get_total_flops() / 1e9 / options.batch
    rows = []
    for (precision, name), row in zip(variants, table(seconds, options.batch, others), strict=True):
        has_reach = (precision, name) == ("fp32", OURS)
        rows.append(
            {
                "precision": precision,
                **row,
                "variant": name,
                "reach": f">= {REACH}" if has_reach else "",
                "GFLOP/s": round(row["images a second"] * flop),
            }
        )
    return rows


def variants_of(
    part: str, network: Network, bundles: dict[str, Bundle], threads: int, fast: list[str]
) -> dict[tuple[str, str], Variant]:
    """Return all variants on the CPU by precision and name."""
    file = ENCODER_FILE if part == "encoder" else GENERATOR_FILE
    tensors, compiled = network.tensors, torch.compile(network.twin)
    variants = {
        ("fp32", "torch eager"): of_torch(partial(network.twin, *tensors)),
        ("fp32", "torch.compile"): of_torch(partial(compiled, *tensors)),
    }
    if "bf16" in fast:
        variants["bf16", "torch.compile"] = of_torch(partial(in_bf16, compiled, tensors))
    plain = export_plainly(network.twin, network.feeds, network.outputs)
    in_int8 = (bundles["int8"].path / file).read_bytes()
    runs = {("fp32", "onnxruntime"): open_onnxruntime(plain, threads)}
    for precision in fast:
        runs[precision, "OpenVINO"] = open_openvino(plain, threads, precision)
        runs[precision, "OpenVINO, our graph"] = open_openvino(network.content, threads, precision)
    runs["int8", "onnxruntime, our graph"] = open_onnxruntime(in_int8, threads)
    runs["int8", "OpenVINO, our graph"] = open_openvino(in_int8, threads)
    for key, run in runs.items():
        call = partial(run, network.feeds)
        variants[key] = Variant(call, call)
    for precision, bundle in bundles.items():
        session = GraphSession((bundle.path / file).read_bytes(), device="cpu", threads=threads)
        outputs = partial(outputs_of, session, network.feeds)
        variants[precision, OURS] = Variant(network.calls[precision], outputs)
    return dict(sorted(variants.items(), key=lambda item: ("fp32", "bf16", "int8").index(item[0][0])))


def of_torch(call: Callable[[], Any]) -> Variant:
    """Return the variant of a call of torch."""
    return Variant(call, lambda: [values.float().numpy() for values in tensors_of(call())])


def in_bf16(network: Callable[..., object], tensors: list[Tensor]) -> object:
    """Call a network in bf16, as torch's autocast chooses."""
    with torch.autocast("cpu", torch.bfloat16):
        return network(*tensors)


def outputs_of(session: GraphSession, feeds: Feeds) -> Iterable[npt.NDArray[np.float32]]:
    """Return the outputs of a graph in its order."""
    return session.run(feeds).values()


def differences_of(
    network: Network, variants: dict[tuple[str, str], Variant]
) -> dict[tuple[str, str], dict[str, str]]:
    """Return how far each variant's outputs are from those of torch in fp32, by kind of output."""
    exact = [values.numpy() for values in tensors_of(network.twin(*network.tensors))]
    rows = {}
    for key, variant in variants.items():
        found: dict[str, list[npt.NDArray[np.float32]]] = {}
        for name, right, values in zip(network.outputs, exact, variant.outputs(), strict=True):
            kind = {"images": "pixels", "distance": "OOD score"}.get(name, "codes")
            found.setdefault(kind, []).append(np.abs(right - values).ravel())
        together = {kind: np.concatenate(parts) for kind, parts in found.items()}
        rows[key] = {kind: f"{values.mean():.1e} ({values.max():.1e})" for kind, values in together.items()}
    return rows


def tensors_of(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the outputs of a network as a tuple."""
    return found if isinstance(found, tuple) else (found,)


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
        with torch.inference_mode():
            network = network_of(part, bundles, options.batch)
            found = race_on_gpu(network, options.batch, options.rounds, torch.device("cuda"))
        rows += [{"graph": part, **row} for row in found]
    return rows


def race_on_gpu(network: Network, batch: int, rounds: int, device: torch.device) -> list[dict[str, Any]]:
    """Return the rows of one graph, each variant from call to result."""
    tensors = network.tensors
    twin = network.twin.to(device)
    there = [tensor.to(device) for tensor in tensors]

    def with_copies() -> object:
        return [values.cpu() for values in tensors_of(twin(*(tensor.to(device) for tensor in tensors)))]

    def on_device_alone() -> None:
        twin(*there)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    calls: dict[str, Callable[[], object]] = {
        TORCH_ON_GPU: with_copies,
        "torch eager, GPU, without copies": on_device_alone,
    }
    calls |= {f"{OURS}, {name}": call for name, call in network.calls.items()}
    return table(take_turns(calls, rounds), batch, {TORCH_ON_GPU})


def network_of(part: str, bundles: dict[str, Bundle], batch: int) -> Network:
    """Return a graph of the first bundle in torch, on the CPU, with a batch of generated images or latents.

    Raises:
        SystemExit: torch and the bundle do not compute the same.
    """
    bundle = next(iter(bundles.values()))
    latents = bundle.sample(batch, seed=0)
    images = bundle.generate(latents)
    if part == "encoder":
        content, twin_of = (bundle.path / ENCODER_FILE).read_bytes(), GraphTwin
        feeds: dict[str, Any] = {"images": images}
    else:
        content, twin_of = (bundle.path / GENERATOR_FILE).read_bytes(), generator_twin
        feeds = {name: getattr(latents, name) for name in generator_inputs(bundle.latent)}
    twin = twin_of(content).eval()
    theirs = tensors_of(twin(*map(torch.from_numpy, feeds.values())))
    devices: set[Device] = {
        "cuda" if opened.provider == CUDA_PROVIDER else "cpu" for opened in bundles.values()
    }
    for device in sorted(devices):
        ours = GraphSession(content, device=device).run(feeds)
        worst = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(theirs, ours.values(), strict=True))
        if not worst <= TOLERANCE[device]:
            raise SystemExit(f"{part} on {device}: torch and the graph differ by {worst:g}")
    calls: dict[str, Callable[[], object]] = {
        name: partial(opened.encode, images) if part == "encoder" else partial(opened.generate, latents)
        for name, opened in bundles.items()
    }
    return Network(twin, content, feeds, list(ours), calls)


def table(seconds: dict[str, list[float]], batch: int, against: set[str]) -> list[dict[str, Any]]:
    """Return the rows of one race; ratios are to the fastest of ``against``."""
    best = min(median(seconds[name]) for name in against)
    fastest = min(min(seconds[name]) for name in against)
    return [
        {
            "variant": name,
            "images a second": round(batch / median(times)),
            "ratio": best / median(times),
            "of the fastest": fastest / min(times),
        }
        for name, times in seconds.items()
    ]


if __name__ == "__main__":
    main()
