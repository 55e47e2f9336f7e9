"""Read ``metrics.jsonl`` of a run: scalars over the epochs of each stage, and timing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np

from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAX_POINTS: Final = 400
"""Maximum number of points of a curve; of more, neighbours are averaged."""

_MAX_BYTES: Final = 1 << 27
_MAX_LINE: Final = 1 << 16
_MAX_NAMES: Final = 200
_MAX_STAGES: Final = 20
_MAX_NAME: Final = 60
_MAX_VALUE: Final = 1e15
_EPOCH: Final = "Progress/epoch"
_SECONDS: Final = "Timing/sec_per_step"
_RATE: Final = "Timing/images_per_sec"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageLog:
    """One stage of a run, in at most :data:`MAX_POINTS` points."""

    name: str
    """Name of the stage; printable."""
    first_step: int
    """Steps of the run before the stage."""
    steps: int
    """Steps of the stage so far."""
    steps_per_epoch: float
    """Steps in one pass over the images; 0 where it is not known."""
    epochs: NDArray[np.float64]
    """``(P,)``: passes over the images at each point, within the stage."""
    scalars: Mapping[str, NDArray[np.float64]]
    """By name ``(P,)``; NaN where the run did not log it."""
    seconds: float
    """Time of the steps."""
    images_per_second: float | None
    """Median over the intervals."""

    def epoch_of(self, step: int) -> float | None:
        """Return the epoch after ``step`` steps of the run, where it is known."""
        return (step - self.first_step) / self.steps_per_epoch if self.steps_per_epoch else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MetricsLog:
    """All stages of a run, in order."""

    stages: tuple[StageLog, ...] = ()
    """Stages with at least one line."""
    unread: int = 0
    """Number of lines that are damaged, incomplete, or beyond the limits."""

    def generator_stage(self) -> StageLog | None:
        """Return the stage that trains G: the last one with a loss of D, G or the VAE, else the last."""
        prefixes = ("Loss/G", "Loss/D", "Loss/VAE")
        training = [
            stage for stage in self.stages if any(name.startswith(prefixes) for name in stage.scalars)
        ]
        stages = training or self.stages
        return stages[-1] if stages else None


@dataclass(slots=True)
class _Part:
    """One stage while its lines are read."""

    name: str
    first_step: int
    steps: list[int] = field(default_factory=list)
    records: list[dict[str, float]] = field(default_factory=list)


def read_metrics_log(path: Path) -> MetricsLog:
    """Read a ``metrics.jsonl``; empty if it does not exist. Damaged lines are skipped and counted.

    At most 128 MiB, 20 stages, and 200 names in each are read.

    Raises:
        RunError: The file exists and cannot be read.
    """
    parts: list[_Part] = []
    unread = 0
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_BYTES)
            unread += bool(file.read(1))
    except FileNotFoundError:
        return MetricsLog()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    for line in content.splitlines():
        record = _record(line)
        if record is None or not _add(parts, record):
            unread += bool(line.strip())
    return MetricsLog(stages=tuple(_stage(part) for part in parts if part.records), unread=unread)


def _record(line: bytes) -> dict[str, Any] | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _add(parts: list[_Part], record: dict[str, Any]) -> bool:
    step, stage_step = record.get("step"), record.get("stage_step")
    name = record.get("stage", "training")
    if not _is_count(step) or not _is_count(stage_step) or step < stage_step or not isinstance(name, str):
        return False
    shown = printable(name)[:_MAX_NAME]
    if not parts or parts[-1].name != shown:
        if len(parts) >= _MAX_STAGES:
            return False
        parts.append(_Part(name=shown, first_step=step - stage_step))
    values = {key: _number(value) for key, value in list(record.items())[:_MAX_NAMES] if "/" in key}
    parts[-1].steps.append(stage_step)
    parts[-1].records.append(
        {printable(key)[:_MAX_NAME]: value for key, value in values.items() if value is not None}
    )
    return True


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_VALUE


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # An integer in JSON may exceed the range of float.
    return float(value) if abs(value) <= _MAX_VALUE else math.nan


def _stage(part: _Part) -> StageLog:
    names = list(dict.fromkeys(name for record in part.records for name in record))[:_MAX_NAMES]
    table = {
        name: np.array([record.get(name, math.nan) for record in part.records], np.float64) for name in names
    }
    steps = np.array(part.steps, np.float64)
    epochs = table.pop(_EPOCH, steps)
    seconds = table.get(_SECONDS, np.zeros(0))
    taken = np.diff(steps, prepend=0.0)[: len(seconds)]
    rates = table.get(_RATE, np.zeros(0))
    known = np.isfinite(epochs) & (epochs > 0)
    return StageLog(
        name=part.name,
        first_step=part.first_step,
        steps=int(steps[-1]),
        steps_per_epoch=float(steps[known][-1] / epochs[known][-1]) if known.any() else 0.0,
        epochs=_thinned(epochs),
        scalars={name: _thinned(values) for name, values in table.items()},
        seconds=float(np.nansum(np.maximum(taken, 0) * seconds)),
        images_per_second=float(np.nanmedian(rates)) if np.isfinite(rates).any() else None,
    )


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means of neighbours where there are too many points."""
    if len(values) <= MAX_POINTS:
        return values
    groups = np.array_split(values, MAX_POINTS)
    return np.array([np.nan if np.isnan(g).all() else np.nanmean(g) for g in groups])
