"""Run command lines in forks of one process, which has imported everything, and kill some of them.

    python crash_driver.py FOLDER [KIND SOURCE WHICH]...

========  ===========  ============  ===================================================================
KIND      SOURCE       WHICH         what is killed
========  ===========  ============  ===================================================================
train     CONFIG.toml  all           a training, before each change of a file
train     CONFIG.toml  renames       a training, before and after a checkpoint takes its place
random    CONFIG.toml  KILLS,SEED    a training, from outside, at random moments
export    RUN          all           an export, before each change of a file
========  ===========  ============  ===================================================================

After each kill the command that a user would type next is run. Of several writes in a row only the first and
the last are fatal. Standard output has a JSON line for each kill: the change that was next, how the process
died, and the outcome of the next command.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from faults import Faults

from infogan_tool.cli.main import main
from infogan_tool.export import outputs
from infogan_tool.export import run_to_bundle as export_bundle
from infogan_tool.train.run import fit

if TYPE_CHECKING:
    from collections.abc import Callable

LOADED = (outputs, fit)
"""Imported before the forks, for speed."""
JOB = [0]
"""Number of the job in hand."""
TIMES = ("Timing/sec_per_step", "Timing/images_per_sec")


def run(
    arguments: list[str],
    folder: Path,
    *,
    fatal: int | None = None,
    count: Path | None = None,
    seconds: float | None = None,
) -> tuple[int, str]:
    """Run a command line in a fork; return its wait status and output.

    Args:
        arguments: Of ``infogan-tool``.
        folder: Changes of files in it are counted.
        fatal: Number of the change before which the process is killed.
        count: File for a list of all changes.
        seconds: Time after which it is killed from outside.
    """
    output = folder.parent / f"{folder.name}.err"
    child = os.fork()
    if child == 0:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        faults = Faults(folder, fatal)
        if fatal or count:
            faults.install()
        code = main(arguments)
        if count:
            seen = list(faults.seen)  # before this file is counted
            count.write_text(json.dumps(seen))
        os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # not waited for yet, so the process id is still its own
    _, status = os.waitpid(child, 0)
    return status, output.read_text(errors="replace")


def state(run_folder: Path) -> dict[str, Any]:
    """Return a digest of each file of a run folder, without times."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in run_folder.rglob("*") if p.is_file()):
        content: Any = path.read_bytes()
        if path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in content.splitlines()]
            content = json.dumps(
                [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
            ).encode()
        found[str(path.relative_to(run_folder))] = hashlib.sha256(content).hexdigest()
    return found


def faults_of(arguments: list[str], folder: Path) -> list[str]:
    """Return all changes of files by a run, in order."""
    file = folder.parent / "count.json"
    status, output = run(arguments, folder, count=file)
    assert status == 0, output
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def in_workers(folder: Path, numbers: list[int], kill: Callable[[Path, int], None]) -> None:
    """Call ``kill`` with a working folder and each of the numbers, in one fork for each core."""
    workers = min(os.cpu_count() or 1, 4)
    children = []
    for index in range(workers):
        child = os.fork()
        if child == 0:
            work = folder / f"work-{index}"
            for number in numbers[index::workers]:
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                kill(work, number)
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0


def crash_trainings(folder: Path, config: str, which: str) -> None:
    """Kill a training before each change of a file, resume it, and compare it with an uninterrupted one."""
    work, target, begin, _, whole = whole_training(folder, config)
    seen = faults_of(begin, work)
    assert state(target) == whole
    ends = {number for number, what in enumerate(seen, 1) if "rename .last.safetensors" in what}
    fatal = [
        number
        for number in range(1, len(seen) + 1)
        if (which == "all" or number in ends or number - 1 in ends)
        and seen[number - 2 : number + 1] != ["write"] * 3
    ]

    def kill(work: Path, number: int) -> None:
        target, begin, resume = commands(work, config)
        status, _ = run(begin, work, fatal=number)
        started = (target / "config.json").exists()
        again, output = run(resume if started else begin, work)
        same = state(target) == whole
        report(number, seen[number - 1], status, again, output, {"started": started, "same": same})

    in_workers(folder, fatal, kill)


def crash_at_random(folder: Path, config: str, which: str) -> None:
    """Kill a training at random moments, resume it (every other time after one more kill), compare it."""
    work, target, begin, resume, whole = whole_training(folder, config)
    kills, seed = map(int, which.split(","))
    clock = time.perf_counter()
    run(begin, work)
    seconds, moments, number = time.perf_counter() - clock, random.Random(seed), 0
    shutil.rmtree(target)
    while number < kills:
        shutil.rmtree(work)
        work.mkdir()
        status = started = 0
        for command in (begin, resume)[: 1 + number % 2]:
            started = (target / "config.json").exists()
            if command is begin or started:
                status, _ = run(command, work, seconds=moments.random() * seconds)
        if os.WIFEXITED(status):  # it had finished
            continue
        number += 1
        what = f"step {last_step(target)}"
        started = (target / "config.json").exists()
        again, output = run(resume if started else begin, work)
        report(number, what, status, again, output, {"started": started, "same": state(target) == whole})


def last_step(target: Path) -> int:
    """Return the step of the last complete line of a run's metrics."""
    metrics = target / "metrics.jsonl"
    lines = metrics.read_text().split("\n")[:-1] if metrics.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def commands(work: Path, config: str) -> tuple[Path, list[str], list[str]]:
    """Return run folder, and the commands that start and resume the run."""
    target, options = work / "run", ["--threads", "1", "--device", "cpu"]
    start = ["train", "--config", config, "--out", str(target), *options]
    return target, start, ["train", "--resume", str(target), *options]


def whole_training(folder: Path, config: str) -> tuple[Path, Path, list[str], list[str], dict[str, Any]]:
    """Return working folder, run folder, both commands, and the state of an uninterrupted run."""
    work = folder / "work"
    target, begin, resume = commands(work, config)
    work.mkdir()
    with redirect_stdout(sys.stderr):
        assert main(begin) == 0  # not in a fork: torch imports much at the first step
    whole = state(target)
    shutil.rmtree(target)
    return work, target, begin, resume, whole


def crash_exports(folder: Path, source: str, _: str) -> None:
    """Kill an export before each change of a file, look at what is there, and export again."""
    for name in ("to_onnx", "check_parity", "fit_ood", "describe_codes", "load_real_images"):
        remember(name)
    work = folder / "work"
    target = work / "bundle"
    make = ["export", source, "--out", str(target), "--force"]
    work.mkdir()
    with redirect_stdout(sys.stderr):
        assert main(make) == 0  # here, not in a fork: what it computes is remembered
    new = state(target)
    other = folder / "old"
    shutil.copytree(target, other)
    metadata = json.loads((other / "metadata.json").read_text())
    (other / "metadata.json").write_text(json.dumps(metadata | {"tool_version": "older"}))
    old = state(other)
    for before in (None, other):
        shutil.rmtree(work)
        work.mkdir()
        if before:
            shutil.copytree(before, target)
        seen = faults_of(make, work)

        def kill(
            work: Path, number: int, before: Path | None = before, seen: tuple[str, ...] = tuple(seen)
        ) -> None:
            target = work / "bundle"
            make = ["export", source, "--out", str(target), "--force"]
            if before:
                shutil.copytree(before, target)
            status, _ = run(make, work, fatal=number)
            there = state(target)
            found = "new" if there == new else "old" if there == old else "none" if not there else "mixed"
            again, output = run(make, work)
            names = sorted(path.name for path in work.iterdir())
            more = {"before": bool(before), "found": found, "same": state(target) == new, "names": names}
            report(number, seen[number - 1], status, again, output, more)

        in_workers(folder, list(range(1, len(seen) + 1)), kill)


def remember(name: str) -> None:
    """Have a costly function of the export compute each of its answers once for all forks."""
    compute, answers = getattr(export_bundle, name), dict[str, object]()

    @functools.wraps(compute)
    def remembered(*arguments: object, **more: object) -> object:
        key = type(arguments[0]).__name__
        if key not in answers:
            answers[key] = compute(*arguments, **more)
        return answers[key]

    setattr(export_bundle, name, remembered)


def report(  # noqa: PLR0917 - in the order of events
    number: int, what: str, status: int, again: int, output: str, more: dict[str, Any]
) -> None:
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    code = os.waitstatus_to_exitcode(again)
    record = {"job": JOB[0], "number": number, "what": what, "killed": killed, "code": code}
    line = json.dumps({**record, **more, "output": output[-1000:]}) + "\n"
    os.write(1, line.encode())  # at once: all workers write to one pipe


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, *jobs = sys.argv[1:]
    crashes = {"train": crash_trainings, "random": crash_at_random, "export": crash_exports}
    for kind, source, which in zip(jobs[::3], jobs[1::3], jobs[2::3], strict=True):
        folder = Path(place, str(JOB[0]))
        folder.mkdir()
        crashes[kind](folder, source, which)
        JOB[0] += 1
