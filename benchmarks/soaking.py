"""Shared by the soak benchmarks: samples of memory and open files, whether they are flat, and the outputs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from side_by_side import documented_parser, environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

__all__ = [
    "Sample",
    "curve",
    "frame",
    "memory_mb",
    "memory_plot",
    "open_files",
    "report_soak",
    "since_warm_up",
    "soak_parser",
]

_GROWTH, _SLACK_MB = 0.02, 8.0
_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 240, 60, 20


@dataclass(frozen=True)
class Sample:
    """What a process holds at some moment."""

    done: int
    """Encodes, images or steps so far."""
    seconds: float
    memory_mb: float
    files: int


def memory_mb(process: int | str = "self") -> float:
    """Return the memory that a process holds now."""
    pages = int((Path("/proc") / str(process) / "statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2)


def open_files(process: int | str = "self") -> int:
    """Return how many files, pipes and sockets a process has open."""
    return len(list((Path("/proc") / str(process) / "fd").iterdir()))


def since_warm_up(after: Sequence[Sample]) -> dict[str, object]:
    """Return memory and open files after the warm-up and at the end, and whether they are flat.

    Memory may grow by 2 % or 8 MB, open files may not. The median of ten samples counts: an allocator returns
    memory and takes it again, and files are opened at times.
    """
    ends = after[:10], after[-10:]
    first, last = (float(np.median([sample.memory_mb for sample in end])) for end in ends)
    before, now = (int(np.median([sample.files for sample in end])) for end in ends)
    return {
        "memory after warm-up, MB": round(first, 1),
        "memory at the end, MB": round(last, 1),
        "open files after warm-up": before,
        "open files at the end": now,
        "flat": last - first <= max(_SLACK_MB, _GROWTH * first) and now <= before,
    }


def soak_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options for what is written."""
    parser = documented_parser(description)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write what was held, line by line")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="write a plot")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    return parser


def report_soak(
    options: argparse.Namespace,
    samples: Sequence[Sample],
    results: Mapping[str, object],
    plot: str,
    /,
    **more: object,
) -> None:
    """Print the results, and write the files of the options of :func:`soak_parser`.

    Args:
        options: As parsed.
        samples: In the order of time.
        results: By name.
        plot: The plot, SVG.
        **more: Further entries of the JSON, first.
    """
    for key, value in results.items():
        print(f"{key:<26} {value}")
    if options.csv:
        rows = [",".join(map(str, asdict(sample).values())) for sample in samples]
        options.csv.write_text("\n".join([",".join(asdict(samples[0])), *rows]) + "\n")
    if options.plot:
        options.plot.write_text(plot)
    if options.json:
        options.json.write_text(json.dumps({**more, **environment(), **results}, indent=2) + "\n")


def curve(across: Sequence[float], values: Sequence[float], most: float, colour: str) -> str:
    """Return a line of an SVG; ``most`` is the value at the top."""
    points = " ".join(
        f"{_LEFT + x / across[-1] * (_WIDTH - _LEFT - 20):.1f},{_TOP + (1 - y / most) * _HEIGHT:.1f}"
        for x, y in zip(across, values, strict=True)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def memory_plot(samples: Sequence[Sample], end: str, below: str) -> str:
    """Return the memory by what was done as an SVG; arguments as in :func:`frame`."""
    held = [sample.memory_mb for sample in samples]
    most = max(held) * 1.1
    return frame(curve([sample.done for sample in samples], held, most, "#0550ae"), most, end, below)


def frame(curves: str, most: float, end: str, below: str) -> str:
    """Return the SVG around curves, with the axis of the memory.

    Args:
        curves: Lines of :func:`curve`.
        most: Memory at the top of the axis.
        end: What stands at the right end of the other axis.
        below: SVG text under the plot.
    """
    marks = "".join(
        f'<text x="{_LEFT - 6}" y="{_TOP + (1 - part) * _HEIGHT + 4:.0f}" text-anchor="end">'
        f"{most * part:.0f}</text>"
        for part in (0, 0.5, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + 70}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{_LEFT} {_TOP}V{_TOP + _HEIGHT}H{_WIDTH - 20}" fill="none" stroke="#888"/>{marks}{curves}'
        f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 20}">0</text>'
        f'<text x="{_WIDTH - 20}" y="{_TOP + _HEIGHT + 20}" text-anchor="end">{end}</text>'
        f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 40}">{below}</text></svg>\n'
    )
