"""Predict the training speed on 8, 64 and 512 devices from measurements on one and two processes.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --preset paper --bandwidth 50 --latency 10

Measured: the step of one process by rows of its batch, on a CPU's thread and on --device; the
messages between the processes in a step; the time of a sum of two processes by gloo, by size; and
the step of two processes, one thread each, beside the prediction from the other results.

Predicted, from the step on --device, for a link of the given bandwidth (GB/s, each way) and latency
(microseconds a hop): weak scaling, where each device keeps the preset's batch, and strong scaling, where all
share it. A sum of b bytes over p devices is assumed to need 2 log2 p hops and to send 2 b (p - 1) / p bytes
through each link. No overlap is assumed: updates sum after each backward pass.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import torch
from side_by_side import arguments, environment, report

from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.data import load_images
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.distributed.torchrun import join_process_group
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Messages = list[tuple[str, int]]

_SIZES: Final = [2**power for power in range(8, 25, 2)]
"""Bytes of a sum."""
_DEVICES: Final = (1, 8, 64, 512)
_WARM: Final = 3


def make_stage(
    name: str, batch: int, group: ProcessGroup = SINGLE_PROCESS, device: str = "cpu"
) -> AdversarialStage:
    """Return adversarial training of a preset on 2,000 digits, in fp32, with that batch of all processes."""
    changes = {
        "data": {"source": "mnist", "size": 28, "channels": 1},
        "precision": "fp32",
        "schedule": {"batch_size": batch},
    }
    config = resolve_config(preset=name, flags=changes)
    images = load_images("mnist").images[:2000].to(device)
    torch.manual_seed(0)
    networks = build_networks(config, size=28, channels=1).to(device)
    convert_sync_batchnorm(networks, group)
    return AdversarialStage(Session(config=config, networks=networks, images=images, group=group))


def seconds_of(step: Callable[[int], object], rounds: int) -> float:
    """Return the median seconds of a step."""
    taken = []
    for index in range(rounds + _WARM):
        start = time.perf_counter()
        step(index)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[_WARM:])


def messages_of(step: Callable[[int], object]) -> Messages:
    """Return the messages of a step to the other processes: their purpose and bytes."""
    found: Messages = []
    kinds = ["moments"]
    all_reduce = ProcessGroup.all_reduce

    def noting(group: ProcessGroup, values: Tensor) -> Tensor:
        found.append((kinds[-1], values.numel() * values.element_size()))
        return all_reduce(group, values)

    def labelled(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:  # noqa: ANN401 - any method's
            kinds.append(kind)
            answer = method(*given)
            kinds.pop()
            return answer

        return run

    with patch.multiple(
        ProcessGroup,
        all_reduce=noting,
        sum_gradients=labelled("gradients", ProcessGroup.sum_gradients),
        all_gather=labelled("outputs", ProcessGroup.all_gather),
    ):
        step(0)
    return found


def work(options: argparse.Namespace) -> None:
    """Measure as one of two processes; the first prints the results."""
    with join_process_group("cpu", 1) as group:
        stage = make_stage(options.preset, options.batch, group)
        found = {
            "step": seconds_of(stage.step, options.rounds),
            "messages": messages_of(stage.step),
            "sums": [[size, seconds_of(_summing(group, size), options.rounds)] for size in _SIZES],
        }
        if group.is_main:
            print(json.dumps(found), flush=True)
    os._exit(0)  # gloo's threads outlive their process group, and Python's ending sometimes aborts on them


def _summing(group: ProcessGroup, size: int) -> Callable[[int], object]:
    values = torch.ones(size // 4)
    return lambda _: group.all_reduce(values)


def two_processes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`work` measured.

    Raises:
        SystemExit: It failed.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [__file__, "--work", "--preset", options.preset, "--batch", str(options.batch)]
    command += ["--rounds", str(options.rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise SystemExit(f"two processes ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def steps_alone(options: argparse.Namespace, device: str) -> dict[int, float]:
    """Return the seconds of a step of one process, by batch."""
    batches = [options.batch // 4, options.batch // 2, options.batch]
    return {b: seconds_of(make_stage(options.preset, b, device=device).step, options.rounds) for b in batches}


def line_through(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return height and slope of the line nearest to points, in relation to their heights."""
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    x0, y0 = (sum(w * p[i] for w, p in zip(weights, points, strict=True)) / total for i in (0, 1))
    slope = sum(w * (x - x0) * (y - y0) for w, (x, y) in zip(weights, points, strict=True))
    slope /= sum(w * (x - x0) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    return y0 - slope * x0, slope


def communication_seconds(
    messages: Messages, devices: int, growth: float, latency: float, bandwidth: float
) -> float:
    """Return the seconds that the messages of a step take; gathered outputs grow with the batch."""
    if devices == 1:
        return 0.0
    sent = sum(size * (growth if kind == "outputs" else 1) for kind, size in messages)
    hops = 2 * math.log2(devices) * len(messages)
    return hops * latency + 2 * sent * (devices - 1) / devices / bandwidth


def predictions(
    options: argparse.Namespace, messages: Messages, line: tuple[float, float]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each way of scaling and number of devices."""
    link = options.latency * 1e-6, options.bandwidth * 1e9
    alone = line[0] + line[1] * options.batch
    for way in ("weak", "strong"):
        for devices in _DEVICES:
            batch = options.batch * devices if way == "weak" else options.batch
            if batch < devices:
                continue
            computing = line[0] + line[1] * math.ceil(batch / devices)
            communication = communication_seconds(messages, devices, batch / options.batch, *link)
            rate = batch / (computing + communication)
            steps = options.images // batch
            yield {
                "scaling": way,
                "devices": devices,
                "batch": batch,
                "compute ms": computing * 1e3,
                "communication ms": communication * 1e3,
                "images/s": round(rate),
                "times one device": rate / (options.batch / alone),
                "of ideal %": round(100 * rate / (options.batch / alone) / devices),
                "steps an epoch": steps,
                "epoch s": steps * (computing + communication),
            }


def main() -> None:
    """Measure, predict, print."""
    parser = arguments(__doc__)
    parser.add_argument("--preset", default="compact", choices=["paper", "compact", "gan"])
    parser.add_argument("--batch", type=int, help="of all processes; default: the preset's")
    parser.add_argument("--bandwidth", type=float, default=25.0, help="of each link, GB/s (default 25)")
    parser.add_argument("--latency", type=float, default=10.0, help="of a hop, microseconds (default 10)")
    parser.add_argument("--images", type=int, default=60_000, help="of the data set (default 60000)")
    parser.add_argument("--device", default="cpu", help="whose step the predictions are for (default cpu)")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.batch = options.batch or resolve_config(preset=options.preset).schedule.batch_size
    if options.work:
        work(options)
        return
    torch.set_num_threads(1)
    machine = environment()
    alone = steps_alone(options, "cpu")
    steps = alone if options.device == "cpu" else steps_alone(options, options.device)
    line = line_through(list(steps.items()))
    two = two_processes(options)
    messages: Messages = [(kind, size) for kind, size in two["messages"]]
    start, by_byte = line_through([(size, seconds) for size, seconds in two["sums"]])
    print_measured(options, alone, two, messages, (start, by_byte))
    rows = list(predictions(options, messages, line))
    report(rows, machine)
    if options.json:
        everything = {"machine": machine, "alone": alone, "two": two, "predicted": rows}
        Path(options.json).write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


def print_measured(
    options: argparse.Namespace,
    alone: dict[int, float],
    two: dict[str, Any],
    messages: Messages,
    link: tuple[float, float],
) -> None:
    """Print what was measured, and what it predicts of two processes."""
    for batch, seconds in alone.items():
        print(f"one process, one thread, {options.preset}, batch {batch}: {seconds * 1e3:.1f} ms a step")
    for kind in ("gradients", "moments", "outputs"):
        sizes = [size for what, size in messages if what == kind]
        print(f"communication in a step: {kind}, {len(sizes)} messages, {sum(sizes):,} bytes")
    for size, seconds in two["sums"]:
        print(f"two processes, sum of {size:,} bytes: {seconds * 1e3:.3f} ms")
    print(f"as a line: {link[0] * 1e6:.0f} us and {1 / link[1] / 1e9:.2f} GB/s")
    communication = sum(link[0] + link[1] * size for _, size in messages)
    predicted, whole = alone[options.batch // 2] + communication, alone[options.batch]
    print(
        f"two processes share a batch of {options.batch}: predicted {predicted * 1e3:.1f} ms a step "
        f"({communication * 1e3:.1f} ms of it communication), measured {two['step'] * 1e3:.1f} ms; "
        f"one process {whole * 1e3:.1f} ms\n"
    )


if __name__ == "__main__":
    main()
