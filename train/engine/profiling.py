"""``train --profile``: where the time of a stage's steps goes, by torch's profiler.

Of each stage the first seven steps are skipped and the next ten are recorded. ``RUN/profile/STAGE.json.gz``
is the trace, which chrome://tracing and Perfetto open; ``STAGE.txt`` has the share of each section of a step
and torch's table of operators.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torch.profiler import ProfilerActivity, profile, record_function, schedule

from infogan_tool.runtime.storage.atomic import write_atomic

if TYPE_CHECKING:
    import torch

_log: Final = logging.getLogger(__name__)

_PREFIX: Final = "train: "
_SCHEDULE: Final = {"wait": 5, "warmup": 2, "active": 10, "repeat": 1}
_OPERATORS: Final = 12


def section(name: str) -> record_function:
    """Return a context that names a part of a step; outside of a profile it costs some microseconds."""
    return record_function(_PREFIX + name)


def profile_steps(folder: Path, stage: str, device: torch.device) -> profile:
    """Return a profiler, as a context, whose ``step()`` is to be called after each step; the table is logged.

    Args:
        folder: Where the files go; it is created if needed.
        stage: Name of the stage.
        device: Where it computes.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # without a GPU it prints a warning to stderr
    on_gpu = device.type == "cuda"

    def write(recorded: profile) -> None:
        if _recorded_steps(recorded) < 1:  # the stage ended in the warm-up
            return
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            trace = Path(temporary) / "trace.json.gz"
            recorded.export_chrome_trace(str(trace))
            write_atomic(folder / f"{stage}.json.gz", trace.read_bytes())
        screen = f"profile of stage {stage}\n{_tables(recorded, on_gpu=on_gpu)}"
        write_atomic(folder / f"{stage}.txt", screen)
        _log.info("%s", screen.rstrip())

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    return profile(activities=activities, schedule=schedule(**_SCHEDULE), on_trace_ready=write)


def _recorded_steps(recorded: profile) -> int:
    return recorded.step_num - _SCHEDULE["wait"] - _SCHEDULE["warmup"]


def _tables(recorded: profile, *, on_gpu: bool) -> str:
    events = recorded.key_averages()
    total = sum(event.cpu_time_total for event in events if event.key.startswith("ProfilerStep"))
    count = _recorded_steps(recorded)
    lines = [f"{count} steps, {total / count / 1000:.2f} ms each; sections, with those inside them"]
    sections = sorted((e for e in events if e.key.startswith(_PREFIX)), key=lambda e: -e.cpu_time_total)
    lines += [f"  {e.cpu_time_total / total:>6.1%}  {e.key.removeprefix(_PREFIX)}" for e in sections]
    device = "device" if on_gpu else "cpu"
    table = events.table(sort_by=f"self_{device}_time_total", row_limit=_OPERATORS, max_name_column_width=40)
    return "\n".join([*lines, table])
