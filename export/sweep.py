"""Train several seeds of one config, or of a grid of configs, export each, and report the spread of scores.

A single seed is no evidence: quote the mean, the spread and the worst of several. Each seed is trained in a
process of its own, with its share of the cores, and on a GPU of its own where there are any. What already
exists in the output folder is not done again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool.export.run_to_bundle import write_bundle
from infogan_tool.runtime.bundle.metadata import METADATA_FILE, read_metadata
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.config.files import parse_settings, parse_values
from infogan_tool.train.run.checkpoint import read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.signals import stop_signals
from infogan_tool.train.run.stages import steps_by_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infogan_tool.train.config.schema import TrainConfig

_POLL_SECONDS: Final = 0.2
_MAX_SEEDS: Final = 1000
_MAX_SEED: Final = 2**32 - 1
_MAX_TRIALS: Final = 1000
_MAX_NAME: Final = 100
"""Longest name of a folder."""
_NOT_FOR_SWEEPS: Final = ("--seed", "--out", "-o", "--resume", "--dry-run", "--schema", "--import")
"""Options of train that a sweep sets itself, or that leave nothing to export."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training of a sweep."""

    seed: int
    """Seed of the training."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The keys that the grid sets, dotted, with this training's values."""

    def __str__(self) -> str:
        return " ".join([*self.texts, f"seed {self.seed}"])

    @property
    def texts(self) -> list[str]:
        """The settings as ``train --set`` takes them."""
        return [f"{key}={_toml(value)}" for key, value in self.settings.items()]

    def path(self, out: Path, kind: str) -> Path:
        """Return the path of the trial's ``seed`` (the run), ``bundle`` or log under ``out``."""
        text = ",".join(self.texts)
        name = re.sub(r"[^\w.=,+\[\]-]", "_", text)
        if name != text or len(name) > _MAX_NAME:
            name = f"{name[:_MAX_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        return (out / name if text else out) / f"{kind}-{self.seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedScore:
    """The scores of one seed."""

    seed: int
    """Seed of the training."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The keys that the grid sets, dotted, with this training's values."""
    bundle: str
    """Path of its bundle."""
    accuracy: float | None
    """Accuracy of the exported encoder on real test images (on training images where there are no test
    images); None without labels."""
    misalignment: float | None
    """Greatest angle between two continuous codes and independent effects, in degrees; None if unknown."""
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
        """Mean, standard deviation, worst and best of the accuracies; None without labels, or with a grid."""
        spreads = self.by_settings
        return spreads[0][1] if len(spreads) == 1 else None

    @property
    def by_settings(self) -> list[tuple[Mapping[str, Any], dict[str, float | None] | None]]:
        """Mean, standard deviation, worst and best of the accuracies of each combination of the grid."""
        combinations = [score.settings for score in self.scores]
        distinct = [some for index, some in enumerate(combinations) if some not in combinations[:index]]
        return [(some, _spread([s for s in self.scores if s.settings == some])) for some in distinct]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        seeds = [asdict(score) for score in self.scores]
        grid = [{"settings": some, "accuracy": spread} for some, spread in self.by_settings]
        return {"seeds": seeds, "accuracy": self.accuracy, "grid": grid if len(grid) > 1 else []}


def _spread(scores: Sequence[SeedScore]) -> dict[str, float | None] | None:
    values = [score.accuracy for score in scores if score.accuracy is not None]
    if not values:
        return None
    return {
        "mean": statistics.fmean(values),
        "standard_deviation": statistics.stdev(values) if len(values) > 1 else None,
        "worst": min(values),
        "best": max(values),
    }


def parse_grid(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return every combination of the values of texts such as ``optimizer.g_lr=5e-4,1e-3``, by dotted key.

    Without texts it is one combination, which sets nothing.

    Raises:
        UsageError: A text is malformed, a key or a value is repeated, or there are too many combinations.
    """
    values = parse_settings(texts, option="--grid")
    for key, some in values.items():
        if not some or any(value in some[:index] for index, value in enumerate(some)):
            raise UsageError(f"--grid {key} needs different values, separated by commas")
    if math.prod(map(len, values.values())) > _MAX_TRIALS:
        raise UsageError(f"--grid has more than {_MAX_TRIALS} combinations")
    return [dict(zip(values, some, strict=True)) for some in itertools.product(*values.values())]


def _toml(value: object) -> str:
    """Return a value as :func:`~infogan_tool.train.config.files.parse_values` reads it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str) and parse_values(value) == [value]:
        return value
    return "none" if value is None else json.dumps(value)


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
        if low > high:
            raise UsageError(f"a range of seeds is written as 0-4, not '{part.strip()}'")
        ranges.append(range(low, high + 1))
    # Count before expanding: a list of 2**32 seeds would exhaust the memory.
    if sum(map(len, ranges)) <= _MAX_SEEDS:
        seeds = [seed for part in ranges for seed in part]
        if len(set(seeds)) == len(seeds) and max(seeds) <= _MAX_SEED:
            return seeds
    raise UsageError(f"seeds must be different numbers below 2**32, at most {_MAX_SEEDS}, not '{text}'")


def usable_gpus(device: str) -> list[str]:
    """Return the name in CUDA_VISIBLE_DEVICES of each GPU that trainings with ``--device`` may use."""
    if device == "cpu":
        return []
    count, listed = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = listed.split(",") if listed is not None else map(str, range(count))
    return [name.strip() for name in names][:count]


def run_sweep(
    trials: Sequence[Trial],
    arguments: Sequence[str],
    out: Path,
    *,
    jobs: int,
    threads: int,
    report: Callable[[str], None],
    gpus: Sequence[str] = (),
    resume_arguments: Sequence[str] = (),
    imports: Sequence[str] = (),
    configs: Sequence[TrainConfig] = (),
) -> Sweep:
    """Train, export and score every trial; those that are complete in ``out`` are not done again.

    Args:
        trials: Different trials.
        arguments: Options of ``infogan-tool train`` for every trial.
        out: Folder for ``seed-0``, ``seed-0.log`` and ``bundle-0``, ..., and ``sweep.json``; those of a grid
            are in one folder for each combination.
        jobs: Number of simultaneous trainings.
        threads: Threads of each training.
        report: Called with a line when a trial starts or ends.
        gpus: Names in CUDA_VISIBLE_DEVICES of the GPUs over which simultaneous trainings are spread.
        resume_arguments: Those of ``arguments`` that go with ``--resume``.
        imports: Modules of the user's that each training imports.
        configs: Of each trial, to be compared with that of a run that exists; none: they are not compared.

    Raises:
        UsageError: ``arguments`` contain an option that a sweep sets itself, or a run in ``out`` is of other
            options.
        RunError: A training failed; the others are stopped, with a checkpoint, first.
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP stopped the trainings, with a checkpoint.
    """
    for option in (argument.partition("=")[0] for argument in arguments):
        if option in _NOT_FOR_SWEEPS:
            remedy = "give it before --" if option == "--import" else "leave it out"
            raise UsageError(f"{option} of train cannot be used in a sweep: {remedy}")
    for trial, config in zip(trials, configs, strict=bool(configs)):
        _check_same_options(trial.path(out, "seed"), config)
    for trial in trials:
        trial.path(out, "seed").parent.mkdir(parents=True, exist_ok=True)
    tool = [sys.executable, "-m", "infogan_tool", "train", "--threads", str(threads)]
    tool += [option for name in imports for option in ("--import", name)]
    start, resume = [*tool, *arguments], [*tool, *resume_arguments]
    _train(trials, start, resume, out, jobs=jobs, report=report, gpus=gpus)
    for trial in trials:
        if not _is_exported(trial, out):
            report(f"{trial}: exporting")
            write_bundle(trial.path(out, "seed"), trial.path(out, "bundle"))
    sweep = summarise(out, trials)
    write_atomic(out / "sweep.json", json.dumps(sweep.to_dict(), indent=2) + "\n")
    return sweep


def _check_same_options(run: Path, config: TrainConfig) -> None:
    """Raise if ``run`` exists and its config differs in more than what a training resolves by itself."""
    folder = RunFolder(run)
    if not folder.has_config():
        return
    asked, found = config.to_dict(), folder.read_config().to_dict()
    for table, key in (("data", "size"), ("data", "channels")):
        if asked[table][key] is None:
            found[table][key] = None
    if asked["precision"] == "auto":
        found["precision"] = "auto"
    if asked["clustering"] and found["clustering"]:  # at most the number of images
        found["clustering"]["batch_size"] = asked["clustering"]["batch_size"]
    if different := [key for key, value in asked.items() if found[key] != value]:
        raise UsageError(
            f"{run} was trained with other options ({', '.join(different)}): use another --out, or remove it"
        )


def _train(
    trials: Sequence[Trial],
    start: Sequence[str],
    resume: Sequence[str],
    out: Path,
    *,
    jobs: int,
    report: Callable[[str], None],
    gpus: Sequence[str],
) -> None:
    waiting, running = list(trials), list[tuple[Trial, int, subprocess.Popen[bytes]]]()
    free, stop = list(range(jobs)), threading.Event()
    with stop_signals(stop), _stopped_at_the_end(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop(0)
                command = _command(out, trial, start, resume)
                if not command:
                    report(f"{trial}: already trained")
                    continue
                slot = free.pop(0)
                gpu = gpus[slot % len(gpus)] if gpus else None
                report(f"{trial}: training" + (f" on GPU {gpu}" if gpu else ""))
                own = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
                with trial.path(out, "seed").with_suffix(".log").open("ab") as log:
                    process = subprocess.Popen(  # noqa: S603
                        command,
                        stdout=log,
                        stderr=log,
                        env=os.environ | own,
                        # In a group of its own: Ctrl-C and the signal of _interrupt would be two.
                        process_group=-1 if os.name == "nt" else 0,
                    )
                running.append((trial, slot, process))
            for ended in [one for one in running if one[2].poll() is not None]:
                running.remove(ended)
                trial, slot, process = ended
                free.append(slot)
                if process.returncode:
                    last = _last_line(out, trial)
                    code = process.returncode
                    raise RunError(f"the training of {trial} failed with exit code {code}: {last}")
                report(f"{trial}: trained")
            time.sleep(_POLL_SECONDS if running else 0)
            if stop.is_set():
                raise KeyboardInterrupt


@contextmanager
def _stopped_at_the_end(running: Sequence[tuple[Trial, int, subprocess.Popen[bytes]]]) -> Iterator[None]:
    """Stop the trainings that are still running, with a checkpoint; at a further signal at once."""
    try:
        yield
    finally:
        _interrupt(running)
        try:
            for _, _, process in running:
                process.wait()
        except KeyboardInterrupt:
            _interrupt(running)
            raise


def _interrupt(running: Sequence[tuple[Trial, int, subprocess.Popen[bytes]]]) -> None:
    for _, _, process in running:
        with suppress(OSError):
            if os.name == "nt":  # there is no signal that a process could save its state on
                process.terminate()
            else:
                process.send_signal(signal.SIGINT)


def summarise(out: Path, trials: Sequence[Trial]) -> Sweep:
    """Read the scores of the bundles and runs under ``out``."""
    return Sweep(scores=tuple(_score(out, trial) for trial in trials))


def _score(out: Path, trial: Trial) -> SeedScore:
    bundle = trial.path(out, "bundle")
    card = read_metadata(bundle).card
    accuracy = card.get("accuracy", {})
    run = RunFolder.open(trial.path(out, "seed"))
    records = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    seconds, previous = 0.0, 0
    for record in records:
        seconds += record["Timing/sec_per_step"] * (record["step"] - previous)
        previous = record["step"]
    return SeedScore(
        seed=trial.seed,
        settings=trial.settings,
        bundle=str(bundle),
        accuracy=accuracy.get("test", accuracy.get("train")),
        misalignment=card.get("axes", {}).get("misalignment"),
        bounds={k.removeprefix("MI/"): v for k, v in records[-1].items() if k.startswith("MI/")},
        seconds=round(seconds, 1),
    )


def _command(out: Path, trial: Trial, start: Sequence[str], resume: Sequence[str]) -> list[str]:
    """Return the command that trains or resumes a trial; empty if it is complete."""
    if _is_exported(trial, out):
        return []
    run = trial.path(out, "seed")
    if (run / "config.json").exists():
        return [] if _is_complete(run) else [*resume, "--resume", str(run)]
    settings = [option for text in trial.texts for option in ("--set", text)]
    return [*start, *settings, "--seed", str(trial.seed), "--out", str(run)]


def _is_exported(trial: Trial, out: Path) -> bool:
    return (trial.path(out, "bundle") / METADATA_FILE).exists()


def _is_complete(run: Path) -> bool:
    folder = RunFolder.open(run)
    if not folder.has_checkpoint():
        return False
    images = folder.read_info()["data"]["images"]
    step = read_checkpoint(folder.newest_checkpoint).header.step
    return step >= sum(steps for _, steps in steps_by_stage(folder.read_config(), images))


def _last_line(out: Path, trial: Trial) -> str:
    log = trial.path(out, "seed").with_suffix(".log")
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "its log is empty")
    return last.removeprefix("error: ")
