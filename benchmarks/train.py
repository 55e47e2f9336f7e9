"""Our training step compared with the step of course slides, in turns.

    python benchmarks/train.py [--preset paper] [--batch 128] [--threads 2] [--rounds 7] [--json FILE]
    python benchmarks/train.py --device cuda --steps 200

Each variant is a process of its own that waits during the turns of the others: same networks, batch, data and
threads. The first round does not count. A result is the median over all rounds of a turn's mean; `ratio` is
to the reference (reference_step.py), by the medians and by the fastest turns: on a busy machine the latter is
more reliable. The arithmetic is that of convolutions and their gradients, as torch counts it. `memory` is the
peak of the process beyond what it held before its networks and images. On a CPU the rate of a large matrix
product is shown too, as what the cores can do. `plain` is ours with every convolution computed as torch does
(train/engine/layers.py), with weights in the order of their dimensions, and with memory that is returned to
the system, as in the reference. `contiguous` is ours with weights and maps in the order of their dimensions,
on a CPU where that is not the faster way (train/engine/memory_format.py). bf16 is included where the CPU has
it.

With `--device cuda` ours runs eager and captured, in fp32, TF32 and bf16, the time of 100 epochs is shown,
and the losses of the captured and the eager step are compared.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from matrix_product import GFLOP, matrix_product
from reference_step import ReferenceTraining
from side_by_side import alternate, arguments, environment, report
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.utils.flop_counter import FlopCounterMode

from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train import preset
from infogan_tool.train.distributed.device import fast_precision
from infogan_tool.train.engine.cpu_memory import keep_freed_memory
from infogan_tool.train.engine.layers import MapToVector, MeanConv, UpsampledConv, VectorToMap
from infogan_tool.train.engine.memory_format import channels_last_is_faster, to_memory_format
from infogan_tool.train.engine.stage import Session, use_precision
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.plan import plan_training

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from infogan_tool.train.run.plan import Plan

REFERENCE = "reference, fp32"
EPOCHS = 100
ENOUGH = 8
"""From so many cores on, all processes are started at once."""
REACH = {"bf16": 1.7, "fp32": 1.0}


@dataclass(frozen=True)
class Variant:
    """One of the trainings that are compared."""

    name: str
    precision: str
    ours: bool = True
    captured: bool = False
    plain: bool = False
    contiguous: bool = False

    @property
    def as_shipped(self) -> bool:
        """Whether it is the project's training with nothing left out."""
        return self.ours and not (self.plain or self.contiguous)


def main() -> None:
    """Time all variants and print the table."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=7)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--workers", type=int, default=0, help="of the reference's DataLoader")
    parser.add_argument("--steps", type=int, default=10, help="of each turn")
    options = parser.parse_args()
    variants = variants_on(options.device)
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for variant in variants:
        mine, theirs = context.Pipe()
        process = context.Process(target=run_variant, args=(theirs, variant, options), daemon=True)
        process.start()
        pipes[variant.name] = mine
        if default_threads() < ENOUGH:  # one after the other
            mine.poll(None)
    for mine in pipes.values():
        assert mine.recv() == "ready"
    turns = {name: turn_of(pipe, options.steps) for name, pipe in pipes.items()}
    products = {}
    if options.device == "cpu":
        torch.set_num_threads(options.threads)
        products = {f"matrix product, {kind}": matrix_product(kind) for kind in cpu_precisions()}
    seconds = alternate({**turns, **products}, options.rounds)
    measured = {}
    for name, pipe in pipes.items():
        pipe.send(None)
        measured[name] = pipe.recv()
    per_step = {name: [value / options.steps for value in seconds[name]] for name in pipes}
    print(f"preset {options.preset}, batch {options.batch}, {options.device}, {options.threads} threads\n")
    table = [row_of(variant, per_step, measured, options) for variant in variants]
    table += [{"step": name, "GFLOP/s": round(GFLOP / median(seconds[name]))} for name in products]
    report(table, environment(), options.json)
    if options.device == "cuda":
        compare_losses(measured)


def variants_on(device: str) -> list[Variant]:
    """Return the variants that are compared."""
    reference = Variant(REFERENCE, "fp32", ours=False)
    if device == "cpu":
        variants = [reference]
        for kind in cpu_precisions():
            name = f"ours, {kind}"
            variants.append(Variant(f"{name}, plain", kind, plain=True))
            if channels_last_is_faster():
                variants.append(Variant(f"{name}, contiguous", kind, contiguous=True))
            variants.append(Variant(name, kind))
        return variants
    ours = [
        Variant(f"ours, {kind}, {'captured' if captured else 'eager'}", kind, captured=captured)
        for kind in ("fp32", "tf32", "bf16")
        for captured in (False, True)
    ]
    return [reference, *ours]


def cpu_precisions() -> list[str]:
    """Return fp32, and bf16 unless it is emulated, which takes a multiple of the time."""
    return list(dict.fromkeys(("fp32", fast_precision(torch.device("cpu")))))


def turn_of(pipe: Connection, steps: int) -> Callable[[], object]:
    """Return a function that makes a process do some steps and waits for them."""

    def turn() -> object:
        pipe.send(steps)
        return pipe.recv()

    return turn


def run_variant(pipe: Connection, variant: Variant, options: argparse.Namespace) -> None:
    """Do the requested steps until asked to end; then send the other measurements."""
    before = peak_mb()
    if variant.ours and not variant.plain and options.device == "cpu":
        keep_freed_memory()
    if variant.plain:
        MapToVector.forward, VectorToMap.forward = nn.Conv2d.forward, plain_vector_to_map
        UpsampledConv.forward, MeanConv.forward = plain_upsampled, plain_mean
    training = Ours(variant, options) if variant.ours else Reference(options)
    pipe.send("ready")
    while (steps := pipe.recv()) is not None:
        for _ in range(steps):
            training.step()
        if options.device == "cuda":
            torch.cuda.synchronize()
        pipe.send("done")
    measured: dict[str, Any] = {"memory": peak_mb() - before, "sums": training.sums()}
    if not variant.captured:  # operations of a replayed graph cannot be counted
        with FlopCounterMode(display=False) as counter:
            training.step()
        measured["flop"] = counter.get_total_flops()
    pipe.send(measured)


def plain_vector_to_map(layer: VectorToMap, vectors: torch.Tensor) -> torch.Tensor:
    """Return what the layer returns, computed by torch's transposed convolution."""
    return nn.ConvTranspose2d.forward(layer, vectors.view(*vectors.shape[:2], 1, 1))


def plain_upsampled(layer: UpsampledConv, maps: torch.Tensor) -> torch.Tensor:
    """Return what the layer returns, computed by upsampling and a convolution."""
    return nn.Conv2d.forward(layer, interpolate(maps, scale_factor=2))


def plain_mean(layer: MeanConv, maps: torch.Tensor) -> torch.Tensor:
    """Return what the layer returns, computed by a convolution and a mean."""
    return avg_pool2d(nn.Conv2d.forward(layer, maps), 2)


class Ours:
    """The adversarial stage of a run."""

    def __init__(self, variant: Variant, options: argparse.Namespace) -> None:
        plan = planned(variant.precision, options)
        use_precision(variant.precision)
        networks = build_networks(plan.config, size=plan.data.size, channels=plan.data.channels)
        networks.to(plan.device)
        self._stage = AdversarialStage(
            Session(
                config=plan.config,
                networks=to_memory_format(networks) if variant.as_shipped else networks,
                images=plan.data.images.to(plan.device),
                cuda_graphs=variant.captured,
            )
        )
        self._done = 0

    def step(self) -> None:
        """Do the next one."""
        self._stage.step(self._done)
        self._done += 1

    def sums(self) -> list[float]:
        """Return the sums of all scalars of all steps."""
        sums: list[float] = self._stage.meters.sums.tolist()
        return sums


class Reference:
    """The training step of course slides."""

    def __init__(self, options: argparse.Namespace) -> None:
        plan = planned("fp32", options)
        networks = build_networks(plan.config, size=plan.data.size, channels=1).to(plan.device)
        images = plan.data.sample(len(plan.data.images)).images[:, 0].numpy()
        self._training = ReferenceTraining(plan.config, networks, images, plan.device, options.workers)
        self._sums: list[float] = []

    def step(self) -> None:
        """Do the next one, and look at each loss."""
        self._sums.append(sum(self._training.step().values()))

    def sums(self) -> list[float]:
        """Return all losses of all steps, summed."""
        return [sum(self._sums)]


def planned(precision: str, options: argparse.Namespace) -> Plan:
    """Return the training that all variants have in common."""
    flags = {"precision": precision, "schedule": {"batch_size": options.batch}}
    return plan_training(
        preset(options.preset, **flags), device=options.device, threads=options.threads, stream=False
    )


def row_of(
    variant: Variant,
    per_step: dict[str, list[float]],
    measured: dict[str, dict[str, Any]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return one line of the table."""
    mine, theirs = per_step[variant.name], per_step[REFERENCE]
    eager = next(name for name, values in measured.items() if "flop" in values and name != REFERENCE)
    flop = measured[variant.name if "flop" in measured[variant.name] else eager]["flop"]
    has_reach = variant.as_shipped and options.device == "cpu"
    row = {
        "step": variant.name,
        "ms": 1000 * median(mine),
        "images/s": round(options.batch / median(mine)),
        "ratio": median(theirs) / median(mine),
        "of fastest": min(theirs) / min(mine),
        "reach": f">= {REACH[variant.precision]}" if has_reach else "",
        "MFLOP an image": round(flop / options.batch / 1e6),
        "GFLOP/s": round(flop / median(mine) / 1e9),
        "memory, MB": round(measured[variant.name]["memory"]),
    }
    if options.device == "cuda":
        row[f"{EPOCHS} epochs, s"] = median(mine) * EPOCHS * (60_000 // options.batch)
    return row


def compare_losses(measured: dict[str, dict[str, Any]]) -> None:
    """Print how far the captured steps' losses are from the eager ones'."""
    for kind in ("fp32", "tf32", "bf16"):
        eager, captured = (measured[f"ours, {kind}, {how}"]["sums"] for how in ("eager", "captured"))
        gap = max(abs(a - b) / max(abs(a), 1e-9) for a, b in zip(eager, captured, strict=True))
        print(f"{kind}: sums of the scalars over all steps, captured and eager, differ by {gap:.2e} at most")


def peak_mb() -> float:
    """Return the greatest memory that this process has held."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("/proc/self/status has no VmHWM: this needs Linux")


if __name__ == "__main__":
    main()
