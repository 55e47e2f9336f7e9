"""What ``metrics.jsonl`` tells of a run: its scalars over the epochs of each stage, and how long it took."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.storage.atomic import open_regular, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["MAX_POINTS", "History", "StageHistory", "read_history"]

MAX_POINTS: Final = 400
"""Points of a curve; of more, neighbours are averaged."""

_MAX_BYTES: Final = 1 << 27
_MAX_LINE: Final = 1 << 16
_MAX_NAMES: Final = 200
_MAX_STAGES: Final = 20
_MAX_NAME: Final = 60
_GREATEST: Final = 1e15
_EPOCH: Final = "Progress/epoch"
_SECONDS: Final = "Timing/sec_per_step"
_RATE: Final = "Timing/images_per_sec"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StageHistory:
    """One stage of a run, in at most :data:`MAX_POINTS` points."""

    name: str
    """As the run calls it; printable."""
    first_step: int
    """Steps of the whole run before it."""
    steps: int
    """Its own steps so far."""
    steps_per_epoch: float
    """Steps in one pass over the images; 0 where it is not known."""
    epochs: NDArray[np.float64]
    """``(P,)``: passes over the images at each point, within the stage."""
    scalars: Mapping[str, NDArray[np.float64]]
    """By name ``(P,)``, not a number where the run did not tell it."""
    seconds: float
    """How long its steps took."""
    images_per_second: float | None
    """Median over its intervals."""

    def epoch_of(self, step: int) -> float | None:
        """Return the epoch after ``step`` steps of the whole run, where it is known."""
        return (step - self.first_step) / self.steps_per_epoch if self.steps_per_epoch else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class History:
    """All stages of a run, in order."""

    stages: tuple[StageHistory, ...] = ()
    """Those that have told anything."""
    unread: int = 0
    """Lines that are none of a run's: cut short, damaged, or beyond what is read."""

    def with_any(self, *prefixes: str) -> tuple[StageHistory, ...]:
        """Return the stages that have a scalar whose name begins so."""
        return tuple(s for s in self.stages if any(name.startswith(prefixes) for name in s.scalars))

    def generator_stage(self) -> StageHistory | None:
        """Return the stage in which G learns: the last one with a loss of its game, or else the last."""
        drawing = self.with_any("Loss/G", "Loss/D", "Loss/VAE")
        found = drawing or self.stages
        return found[-1] if found else None


@dataclass(slots=True)
class _Part:
    """One stage while its lines are read."""

    name: str
    first_step: int
    steps: list[int] = field(default_factory=list)
    records: list[dict[str, float]] = field(default_factory=list)


def read_history(path: Path) -> History:
    """Read a ``metrics.jsonl``; a missing one tells nothing, and lines that are damaged are passed over.

    At most 128 MiB are read, 20 stages, and 200 names in each.

    Raises:
        RunError: It is there and cannot be read.
    """
    parts: list[_Part] = []
    unread = 0
    try:
        with open_regular(path) as file:
            content = file.read(_MAX_BYTES)
            unread += bool(file.read(1))
    except FileNotFoundError:
        return History()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    for line in content.splitlines():
        record = _record(line)
        if record is None or not _add(parts, record):
            unread += bool(line.strip())
    return History(stages=tuple(_stage(part) for part in parts if part.records), unread=unread)


def _record(line: bytes) -> dict[str, Any] | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _add(parts: list[_Part], record: dict[str, Any]) -> bool:
    step, stage_step = _count(record.get("step")), _count(record.get("stage_step"))
    name = record.get("stage", "training")
    if step is None or stage_step is None or step < stage_step or not isinstance(name, str):
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


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _GREATEST else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # A whole number in JSON may be longer than any float.
    return float(value) if abs(value) <= _GREATEST else math.nan


def _stage(part: _Part) -> StageHistory:
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
    return StageHistory(
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
    """Return means of neighbours where there are too many points: each is a mean of an interval already."""
    if len(values) <= MAX_POINTS:
        return values
    groups = np.array_split(values, MAX_POINTS)
    return np.array([np.nan if np.isnan(g).all() else np.nanmean(g) for g in groups])
