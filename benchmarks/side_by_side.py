"""Shared by the benchmarks: run variants in turn, and print a table with machine and versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "alternate",
    "arguments",
    "documented_parser",
    "environment",
    "print_machine",
    "print_table",
    "report",
    "run_process",
    "run_tool",
    "take_turns",
]

_PACKAGES = (
    "infogan-tool",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "pillow",
    "torch",
    "typer",
)


_TOOL = """
import re, sys
from infogan_tool.cli.main import main
code = main(sys.argv[1:])
# Not getrusage: a process begins with the peak of the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""
"""A command of infogan-tool, and its peak memory in KB as the last word on standard output."""
_INTERRUPTED = 130


def documented_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is a benchmark's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return such a parser with the options of a comparison: ``--json`` and ``--rounds``."""
    parser = documented_parser(description)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results as JSON")
    rounds = "how often each variant runs (default %(default)s)"
    parser.add_argument("--rounds", type=int, default=15, help=rounds)
    return parser


def alternate(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each variant once a round, in turn, and return the seconds of all rounds but the first.

    Other load on the machine affects all variants alike.
    """
    return _race(variants, rounds, unused=0, used=1)


def take_turns(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run each variant six times a round, and return the seconds of the last five of each turn.

    For variants in one process: threads of the previous variant may still spin during the first call.
    """
    return _race(variants, rounds, unused=1, used=5)


def _race(
    variants: Mapping[str, Callable[[], object]], rounds: int, *, unused: int, used: int
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, variant in variants.items():
            for turn in range(unused + used):
                start = time.perf_counter()
                variant()
                if number and turn >= unused:
                    seconds[name].append(time.perf_counter() - start)
    return seconds


def run_process(*command: str) -> None:
    """Run a command, with cached bytecode as in an installation, and discard its output.

    Raises:
        SystemExit: The command failed.
    """
    done = subprocess.run(  # noqa: S603 - our own commands
        command, env=_clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode().strip()}")


def run_tool(*arguments: str, limit: float | None = None) -> tuple[float, float]:
    """Run a command of infogan-tool in a process of its own; return its seconds and peak memory in MB.

    Args:
        *arguments: Of the command.
        limit: Seconds after which it is interrupted, as by Ctrl-C.

    Raises:
        SystemExit: The command failed.
    """
    start = time.perf_counter()
    command = [sys.executable, "-c", _TOOL, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_clean_environment()) as process:  # noqa: S603
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate()
    if process.returncode not in (0, _INTERRUPTED if limit else 0):
        raise SystemExit(f"infogan-tool {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - start, int(output.split()[-1]) / 1024


def _clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}


def environment() -> dict[str, Any]:
    """Return the machine and the versions of packages."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "load_before": load,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "versions": versions,
    }


def report(
    rows: list[dict[str, Any]],
    machine: dict[str, Any],
    file: Path | None = None,
    columns: list[str] | None = None,
) -> None:
    """Print machine and rows as a Markdown table, and write both to ``file`` if there is one."""
    print_machine(machine)
    print_table(rows, columns)
    if file:
        file.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def print_machine(machine: dict[str, Any]) -> None:
    """Print what :func:`environment` returned, in two lines."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    print(f"{machine['processor']}, {machine['cores']} cores, load {machine['load_before']} before the run")
    print(f"{machine['platform']}, Python {machine['python']}, {versions}\n")


def print_table(rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    """Print rows as a Markdown table; the columns are those of the first row unless they are given."""
    columns = columns or list(rows[0] if rows else ())
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(_shown(row.get(column, "")) for column in columns) + " |")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
