"""Several seeds of one training: run, exported, scored, and put side by side.

One lucky seed proves nothing, so the figure to quote of a preprocessing is a table of seeds: mean, spread
and worst.
Each seed is a process of its own with its share of the cores, and a GPU of its own where there are any; what
is there already is not done again.
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
from typing import TYPE_CHECKING

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

__all__ = ["SeedScore", "Sweep", "parse_seeds", "run_sweep", "summarise", "usable_gpus"]

_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScore:
    """What one seed came to."""

    seed: int
    """The training's seed."""
    bundle: str
    """Where its bundle is."""
    accuracy: float | None
    """Of the exported encoder on real test images (on training images where there are no test ones); None
    without labels."""
    bounds: dict[str, float]
    """L_I of each code at the end of the training, in nats."""
    seconds: float
    """Wall time of the training's steps, all sessions together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """All seeds, and how they spread."""

    scores: tuple[SeedScore, ...]
    """One for each seed."""

    @property
    def accuracies(self) -> list[float]:
        """The accuracies that there are."""
        return [score.accuracy for score in self.scores if score.accuracy is not None]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        values = self.accuracies
        summary = (
            {
                "mean": statistics.fmean(values),
                "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
                "worst": min(values),
                "best": max(values),
            }
            if values
            else None
        )
        return {"seeds": [asdict(score) for score in self.scores], "accuracy": summary}


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of ``0-4``, ``0,2,5`` or a mixture.

    Raises:
        UsageError: It is neither.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(first + last) > 20:  # noqa: PLR2004
            raise UsageError(f"seeds are written as 0-4 or 0,2,5, not '{text}'")
        seeds += range(int(first), int(last if dash else first) + 1) if int(last or first) < 2**32 else [-1]
    if not seeds or len(set(seeds)) != len(seeds) or len(seeds) > 1000 or min(seeds) < 0:  # noqa: PLR2004
        raise UsageError(f"seeds must be different numbers below 2**32, at most 1000, not '{text}'")
    return seeds


def usable_gpus(arguments: Sequence[str]) -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES calls each GPU that trainings with these options may use."""
    if _device_option(arguments) == ["--device", "cpu"]:
        return []
    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",") if named is not None else map(str, range(count))
    return [name.strip() for name in names][:count]


def _device_option(arguments: Sequence[str]) -> list[str]:
    """Return ``--device`` and its value, if they are among the options of a training."""
    found: list[str] = []
    for place, here in enumerate(arguments):
        if here == "--device":
            found = list(arguments[place : place + 2])
        elif here.startswith("--device="):
            found = here.split("=", 1)
    return found


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
    """Train, export and score every seed; go on with what is in ``out`` already.

    Args:
        seeds: Different seeds.
        arguments: Options of ``infogan-tool train`` for all of them.
        out: Folder to fill: ``seed-0``, ``seed-0.log`` and ``bundle-0``, ..., and ``sweep.json``.
        jobs: Trainings at a time.
        threads: Threads of each.
        report: Called with a line whenever a seed begins or ends.
        gpus: What CUDA_VISIBLE_DEVICES calls each GPU; the trainings of one moment are spread over them.

    Raises:
        RunError: A training failed; the others were stopped, and saved, first.
    """
    out.mkdir(parents=True, exist_ok=True)
    waiting, running = list(seeds), dict[int, subprocess.Popen[bytes]]()
    places, free = dict[int, int](), list(range(jobs))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                seed = waiting.pop(0)
                command = _command(out, seed, arguments, threads)
                if not command:
                    report(f"seed {seed}: is there")
                    continue
                places[seed] = free.pop(0)
                gpu = gpus[places[seed] % len(gpus)] if gpus else None
                report(f"seed {seed}: training" + (f" on GPU {gpu}" if gpu else ""))
                own = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
                with (out / f"seed-{seed}.log").open("ab") as log:
                    running[seed] = subprocess.Popen(  # noqa: S603
                        command, stdout=log, stderr=log, env=os.environ | own
                    )
            for seed in [s for s, process in running.items() if process.poll() is not None]:
                code = running.pop(seed).returncode
                free.append(places[seed])
                if code:
                    raise RunError(f"the training of seed {seed} ended with {code}: {_last_line(out, seed)}")
                report(f"seed {seed}: trained")
            time.sleep(_POLL_SECONDS if running else 0)
    finally:
        for process in running.values():
            with suppress(OSError):
                process.send_signal(signal.SIGINT)
        for process in running.values():
            process.wait()
    for seed in seeds:
        if not (out / f"bundle-{seed}" / METADATA_FILE).exists():
            report(f"seed {seed}: exporting")
            export_run(out / f"seed-{seed}", out / f"bundle-{seed}")
    sweep = summarise(out, seeds)
    write_atomic(out / "sweep.json", json.dumps(sweep.to_dict(), indent=2) + "\n")
    return sweep


def summarise(out: Path, seeds: Sequence[int]) -> Sweep:
    """Read the scores of bundles and runs under ``out``."""
    return Sweep(scores=tuple(_score(out, seed) for seed in seeds))


def _score(out: Path, seed: int) -> SeedScore:
    bundle = out / f"bundle-{seed}"
    card = read_metadata(bundle).card.get("accuracy", {})
    lines = RunFolder.open(out / f"seed-{seed}").metrics.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    seconds, before = 0.0, 0
    for record in records:
        seconds += record["Timing/sec_per_step"] * (record["step"] - before)
        before = record["step"]
    bounds = {k.removeprefix("MI/"): v for k, v in records[-1].items() if k.startswith("MI/")}
    accuracy = card.get("test", card.get("train"))
    return SeedScore(
        seed=seed, bundle=str(bundle), accuracy=accuracy, bounds=bounds, seconds=round(seconds, 1)
    )


def _command(out: Path, seed: int, arguments: Sequence[str], threads: int) -> list[str]:
    """Return the command that trains a seed, or goes on with it; empty if it is done."""
    if (out / f"bundle-{seed}" / METADATA_FILE).exists():
        return []
    run, tool = (
        out / f"seed-{seed}",
        [sys.executable, "-m", "infogan_tool", "train", "--threads", str(threads)],
    )
    if (run / "config.json").exists():
        return [] if _is_done(run) else [*tool, *_device_option(arguments), "--resume", str(run)]
    return [*tool, *arguments, "--seed", str(seed), "--out", str(run)]


def _is_done(run: Path) -> bool:
    folder = RunFolder.open(run)
    if not folder.has_checkpoint():
        return False
    data = folder.read_info().get("data", {})
    done = read_checkpoint(folder.last_checkpoint).header.step
    return done >= total_steps(folder.read_config(), int(data["images"]))


def _last_line(out: Path, seed: int) -> str:
    lines = (out / f"seed-{seed}.log").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
