"""Train several seeds of one config, export each, and report the spread of their scores.

A single seed is no evidence: quote the mean, the spread and the worst of several. Each seed is trained in a
process of its own, with its share of the cores, and on a GPU of its own where there are any. What already
exists in the output folder is not done again.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.export.run_to_bundle import export_run
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, read_metadata
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.stages import total_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_POLL_SECONDS: Final = 0.2
_MAX_SEEDS: Final = 1000
_MAX_SEED: Final = 2**32 - 1
_NOT_FOR_SWEEPS: Final = ("--seed", "--out", "--resume", "--dry-run")
"""Options of train that a sweep sets itself, or that leave nothing to export."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScore:
    """The scores of one seed."""

    seed: int
    """Seed of the training."""
    bundle: str
    """Path of its bundle."""
    accuracy: float | None
    """Accuracy of the exported encoder on real test images (on training images where there are no test
    images); None without labels."""
    bounds: dict[str, float]
    """L_I of each code at the end of the training, in nats."""
    seconds: float
    """Wall time of the training steps, over all sessions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The scores of all seeds."""

    scores: tuple[SeedScore, ...]
    """One for each seed."""

    @property
    def accuracy(self) -> dict[str, float | None] | None:
        """Mean, standard deviation, worst and best of the accuracies; None without labels."""
        values = [score.accuracy for score in self.scores if score.accuracy is not None]
        if not values:
            return None
        return {
            "mean": statistics.fmean(values),
            "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
            "worst": min(values),
            "best": max(values),
        }

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return {"seeds": [asdict(score) for score in self.scores], "accuracy": self.accuracy}


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of ``0-4``, ``0,2,5`` or a mixture.

    Raises:
        UsageError: The text is malformed, a seed is repeated or too large, or there are more than 1,000.
    """
    ranges: list[range] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(first + last) > 20:  # noqa: PLR2004
            raise UsageError(f"seeds are written as 0-4 or 0,2,5, not '{text}'")
        low, high = (min(int(seed), _MAX_SEED + 1) for seed in (first, last if dash else first))
        ranges.append(range(low, high + 1))
    # Count before expanding: a list of 2**32 seeds would exhaust the memory.
    if sum(map(len, ranges)) <= _MAX_SEEDS:
        seeds = [seed for part in ranges for seed in part]
        if seeds and len(set(seeds)) == len(seeds) and max(seeds) <= _MAX_SEED:
            return seeds
    raise UsageError(f"seeds must be different numbers below 2**32, at most {_MAX_SEEDS}, not '{text}'")


def usable_gpus(arguments: Sequence[str]) -> list[str]:
    """Return the name in CUDA_VISIBLE_DEVICES of each GPU that trainings with these options may use."""
    if _device_option(arguments) == ["--device", "cpu"]:
        return []
    count, listed = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = listed.split(",") if listed is not None else map(str, range(count))
    return [name.strip() for name in names][:count]


def _device_option(arguments: Sequence[str]) -> list[str]:
    """Return ``--device`` and its value, if the options contain it."""
    option: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--device":
            option = list(arguments[index : index + 2])
        elif argument.startswith("--device="):
            option = argument.split("=", 1)
    return option


def run_sweep(
    seeds: Sequence[int],
    arguments: Sequence[str],
    out: Path,
    *,
    jobs: int,
    threads: int,
    report: Callable[[str], None],
    gpus: Sequence[str] = (),
) -> Sweep:
    """Train, export and score every seed; seeds that are complete in ``out`` are not done again.

    Args:
        seeds: Different seeds.
        arguments: Options of ``infogan-tool train`` for every seed.
        out: Folder for ``seed-0``, ``seed-0.log`` and ``bundle-0``, ..., and ``sweep.json``.
        jobs: Number of simultaneous trainings.
        threads: Threads of each training.
        report: Called with a line when a seed starts or ends.
        gpus: Names in CUDA_VISIBLE_DEVICES of the GPUs over which simultaneous trainings are spread.

    Raises:
        UsageError: ``arguments`` contain ``--seed``, ``--out``, ``--resume`` or ``--dry-run``.
        RunError: A training failed; the others are stopped, with a checkpoint, first.
    """
    for option in (argument.partition("=")[0] for argument in arguments):
        if option in _NOT_FOR_SWEEPS:
            raise UsageError(f"{option} of train cannot be used in a sweep: leave it out")
    out.mkdir(parents=True, exist_ok=True)
    _train(seeds, arguments, out, jobs=jobs, threads=threads, report=report, gpus=gpus)
    for seed in seeds:
        if not (out / f"bundle-{seed}" / METADATA_FILE).exists():
            report(f"seed {seed}: exporting")
            export_run(out / f"seed-{seed}", out / f"bundle-{seed}")
    sweep = summarise(out, seeds)
    write_atomic(out / "sweep.json", json.dumps(sweep.to_dict(), indent=2) + "\n")
    return sweep


def _train(
    seeds: Sequence[int],
    arguments: Sequence[str],
    out: Path,
    *,
    jobs: int,
    threads: int,
    report: Callable[[str], None],
    gpus: Sequence[str],
) -> None:
    waiting, running = list(seeds), dict[int, subprocess.Popen[bytes]]()
    slots, free = dict[int, int](), list(range(jobs))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                seed = waiting.pop(0)
                command = _command(out, seed, arguments, threads)
                if not command:
                    report(f"seed {seed}: already trained")
                    continue
                slots[seed] = free.pop(0)
                gpu = gpus[slots[seed] % len(gpus)] if gpus else None
                report(f"seed {seed}: training" + (f" on GPU {gpu}" if gpu else ""))
                own = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
                with (out / f"seed-{seed}.log").open("ab") as log:
                    running[seed] = subprocess.Popen(  # noqa: S603
                        command, stdout=log, stderr=log, env=os.environ | own
                    )
            for seed in [s for s, process in running.items() if process.poll() is not None]:
                code = running.pop(seed).returncode
                free.append(slots[seed])
                if code:
                    last = _last_line(out, seed)
                    raise RunError(f"the training of seed {seed} failed with exit code {code}: {last}")
                report(f"seed {seed}: trained")
            time.sleep(_POLL_SECONDS if running else 0)
    finally:
        for process in running.values():
            with suppress(OSError):
                process.send_signal(signal.SIGINT)
        for process in running.values():
            process.wait()


def summarise(out: Path, seeds: Sequence[int]) -> Sweep:
    """Read the scores of the bundles and runs under ``out``."""
    return Sweep(scores=tuple(_score(out, seed) for seed in seeds))


def _score(out: Path, seed: int) -> SeedScore:
    bundle = out / f"bundle-{seed}"
    accuracy = read_metadata(bundle).card.get("accuracy", {})
    lines = RunFolder.open(out / f"seed-{seed}").metrics.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    seconds, previous = 0.0, 0
    for record in records:
        seconds += record["Timing/sec_per_step"] * (record["step"] - previous)
        previous = record["step"]
    return SeedScore(
        seed=seed,
        bundle=str(bundle),
        accuracy=accuracy.get("test", accuracy.get("train")),
        bounds={k.removeprefix("MI/"): v for k, v in records[-1].items() if k.startswith("MI/")},
        seconds=round(seconds, 1),
    )


def _command(out: Path, seed: int, arguments: Sequence[str], threads: int) -> list[str]:
    """Return the command that trains or resumes a seed; empty if it is complete."""
    if (out / f"bundle-{seed}" / METADATA_FILE).exists():
        return []
    run = out / f"seed-{seed}"
    tool = [sys.executable, "-m", "infogan_tool", "train", "--threads", str(threads)]
    if (run / "config.json").exists():
        return [] if _is_complete(run) else [*tool, *_device_option(arguments), "--resume", str(run)]
    return [*tool, *arguments, "--seed", str(seed), "--out", str(run)]


def _is_complete(run: Path) -> bool:
    folder = RunFolder.open(run)
    if not folder.has_checkpoint():
        return False
    data = folder.read_info().get("data", {})
    step = read_checkpoint(folder.last_checkpoint).header.step
    return step >= total_steps(folder.read_config(), int(data["images"]))


def _last_line(out: Path, seed: int) -> str:
    lines = (out / f"seed-{seed}.log").read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "its log is empty")
    return last.removeprefix("error: ")
