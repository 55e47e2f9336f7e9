"""Watch a run: what the page of a training asks for, read from the run folder and never written to it.

Needs neither torch nor the run to be finished. Every file of the run is read as untrusted.
"""

from __future__ import annotations

import io
import json
import math
import re
import shlex
import time
from itertools import islice
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from infogan_tool.export.report.metrics_log import MetricsLog, read_metrics_log
from infogan_tool.export.report.samples import read_sheet, sheet_layout, sheet_paths
from infogan_tool.export.run_files import CONFIG_FILE, is_count, latent_of, planned_steps, read_json, size_of
from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.latents.sampling import CODE_COLUMNS, CODE_ROWS, code_row_length, traversal_ends
from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from infogan_tool.export.report.metrics_log import StageLog

KINDS: Final = ("step", "codes")
"""Sheets of a run: a traversal of fixed latents, and a row for each code."""

_SHOWN: Final = ("Loss/", "MI/", "Scores/")
_GAP: Final = 2
_MIN_CORRELATION: Final = 0.9
_MIN_STRENGTH: Final = 0.03
_MAX_ATTRIBUTES: Final = 2
_MAX_TEXT: Final = 80
_MAX_LISTED: Final = 10_000
_CHECKPOINT: Final = re.compile(r"step-(\d{1,15})\.safetensors", re.ASCII)
_OPEN_SECONDS: Final = 10.0
"""A page that has asked within this time is taken to be open; pages ask every 2 s, 8 s if hidden."""
_ANSWER_SECONDS: Final = 0.5
"""Time for the last answer and the sheets that the page asks for after it."""


class WatchedRun:
    """A run folder; thread-safe.

    Raises:
        RunError: There is no run at ``path``.
    """

    def __init__(self, path: Path) -> None:
        if not (path / CONFIG_FILE).is_file():
            what = f"has no {CONFIG_FILE}" if path.is_dir() else "is not a folder"
            raise RunError(f"{path} {what}: a run is a folder written by infogan-tool train")
        self.path = path
        self._config = read_json(path / CONFIG_FILE)
        self._latent, self._size = latent_of(self._config), size_of(self._config)
        self._lock = Lock()
        self._shown = Condition()
        self._shown_at = -math.inf
        self._log, self._read_at = MetricsLog(), (-1, -1)

    def describe(self) -> bytes:
        """Return everything but the images as JSON.

        Raises:
            RunError: A file of the run cannot be read.
        """
        log, age = self._read_log()
        stage = log.generator_stage()
        training = stage is not None and any(name.startswith("Loss/") for name in stage.scalars)
        sheets = sorted(sheet_paths(self.path / "samples"))
        epochs = [stage.epoch_of(step) if stage else None for step in sheets]
        info = read_json(self.path / "run.json")
        plan = [(printable(name, _MAX_TEXT), steps) for name, steps in planned_steps(info)]
        described = {
            "name": printable(self.path.resolve().name, _MAX_TEXT),
            "path": printable(shlex.quote(str(self.path))),
            **self._facts(info),
            "plan": plan,
            "finished": bool(plan and log.stages)
            and (log.stages[-1].name == plan[-1][0] and log.stages[-1].steps >= plan[-1][1]),
            "codes": [
                {"name": name, "entropy": entropy}
                for name, entropy in (self._latent.entropies.items() if self._latent else ())
            ],
            "layout": self._layout(),
            "sheets": [list(pair) for pair in zip(sheets, map(_rounded, epochs), strict=True)],
            "code_sheets": sorted(sheet_paths(self.path / "samples", "codes")),
            "checkpoints": self._checkpoints(),
            "stages": [_stage(one) for one in log.stages],
            "generator_stage": log.stages.index(stage) if stage and training else None,
            "unread": log.unread,
            "age": age,
        }
        with self._shown:
            self._shown_at = time.monotonic()
            self._shown.notify_all()
        return json.dumps(described, allow_nan=False).encode()

    def wait_until_shown(self) -> None:
        """Wait until a page that is open has asked once more, for at most ten seconds."""
        with self._shown:
            now = time.monotonic()
            if now - self._shown_at < _OPEN_SECONDS:
                self._shown.wait_for(lambda: self._shown_at > now, _OPEN_SECONDS)
        time.sleep(_ANSWER_SECONDS if self._shown_at > now else 0)

    def sheet(self, kind: str, step: int) -> bytes | None:
        """Return a sheet as PNG, read and written anew; None where there is none that can be read."""
        pixels = self._pixels(kind, step)
        if pixels is None:
            return None
        content = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
        return content.getvalue()

    def effects(self, step: int) -> bytes | None:
        """Return what each code changes in the sheet of codes at a step, as JSON; None where there is none.

        For each code ``strength``, the root mean square change of a pixel along its row as a share of the
        range from black to white, and for continuous codes ``attributes``: name and correlation of those that
        follow the code and vary more along its row than over the whole sheet, if any (needs scipy).
        """
        pixels = self._pixels("codes", step)
        if pixels is None or self._latent is None or self._size is None:
            return None
        codes = self._latent.code_names[:CODE_ROWS]
        stride = self._size + _GAP
        shape = (_GAP + len(codes) * stride, _GAP + CODE_COLUMNS * stride)
        if pixels.shape[:2] != shape:
            return None
        cells = pixels[_GAP:, _GAP:].reshape(len(codes), stride, CODE_COLUMNS, stride, -1)
        rows = cells[:, : self._size, :, : self._size].transpose(0, 2, 1, 3, 4)
        attributes = _attributes(rows)
        found: list[dict[str, Any]] = []
        for number, code in enumerate(codes):
            strength = _strength(rows[number, : code_row_length(self._latent, code)])
            found.append({"code": code, "strength": _rounded(strength)})
            if code in self._latent.continuous_names and strength >= _MIN_STRENGTH:
                found[-1]["attributes"] = attributes[number]
        return json.dumps(found, allow_nan=False).encode()

    def _read_log(self) -> tuple[MetricsLog, float | None]:
        """Return the metrics, read again where they changed, and the seconds since their last line."""
        path = self.path / "metrics.jsonl"
        with self._lock:
            try:
                found = path.stat()
            except OSError:
                return MetricsLog(), None
            if (now := (found.st_mtime_ns, found.st_size)) != self._read_at:
                self._log, self._read_at = read_metrics_log(path), now
            return self._log, max(0.0, time.time() - found.st_mtime)

    def _facts(self, info: dict[str, Any]) -> dict[str, Any]:
        data = info.get("data")
        data = data if isinstance(data, dict) else {}
        return {
            "preset": printable(self._config.get("preset", ""), _MAX_TEXT),
            "data": printable(data.get("name", ""), _MAX_TEXT),
            "images": images if is_count(images := data.get("images")) else None,
            "size": self._size,
            "device": printable(info.get("device", ""), _MAX_TEXT),
        }

    def _layout(self) -> dict[str, Any] | None:
        if self._latent is None or self._size is None:
            return None
        layout = sheet_layout(self._latent, self._size)
        continuous = layout.code in self._latent.continuous_names
        return {
            "code": layout.code,
            "ends": traversal_ends(self._latent, layout.code) if continuous else None,
            "row_code": layout.row_code,
            "code_rows": [
                {"code": code, "count": code_row_length(self._latent, code)}
                for code in self._latent.code_names[:CODE_ROWS]
            ],
            "left_out": max(0, len(self._latent.code_names) - CODE_ROWS),
        }

    def _checkpoints(self) -> list[int]:
        folder = self.path / "checkpoints"
        files = islice(folder.iterdir(), _MAX_LISTED) if folder.is_dir() else ()
        return sorted(int(match[1]) for file in files if (match := _CHECKPOINT.fullmatch(file.name)))

    def _pixels(self, kind: str, step: int) -> NDArray[np.uint8] | None:
        path = sheet_paths(self.path / "samples", kind).get(step)
        return None if path is None else read_sheet(path)


def _stage(stage: StageLog) -> dict[str, Any]:
    """Return the curves of a stage; a value that is missing or not finite is null."""
    scalars: Mapping[str, NDArray[np.float64]] = stage.scalars
    return {
        "name": stage.name,
        "steps": stage.steps,
        "first_step": stage.first_step,
        "has_epochs": stage.steps_per_epoch > 0,
        "epochs": [_rounded(value) for value in stage.epochs.tolist()],
        "scalars": {
            name: [_rounded(value) for value in values.tolist()]
            for name, values in scalars.items()
            if name.startswith(_SHOWN)
        },
        "images_per_second": _rounded(stage.images_per_second),
    }


def _rounded(value: float | None) -> float | None:
    """Return five significant digits; None for what JSON cannot hold."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def _strength(images: NDArray[np.uint8]) -> float:
    """Return the root mean square change of a pixel along a row of images ``(N, S, S, C)``, 0 to 1."""
    changes = images / 255.0 - images.mean(axis=0) / 255.0
    return float(np.sqrt(np.mean(changes**2)))


def _attributes(rows: NDArray[np.uint8]) -> list[list[tuple[str, float | None]]]:
    """Return for each row the attributes that follow the column, at most two, and their correlations.

    Those that vary most come first, in units of their standard deviation over the whole sheet.

    Args:
        rows: The sheet ``(R, N, S, S, C)``.
    """
    try:
        from infogan_tool.export.evaluation.metrics.attributes import measure_attributes
        from infogan_tool.export.evaluation.metrics.correlation import pearson
        from infogan_tool.export.evaluation.metrics.naming import INDEPENDENT, NAMES
    except ImportError:  # scipy is part of the extra [train]
        return [[] for _ in rows]
    if rows.shape[4] not in (1, 3):
        return [[] for _ in rows]
    measured = measure_attributes(rows.reshape(-1, *rows.shape[2:]))
    place = np.arange(rows.shape[1], dtype=np.float64)
    found: list[list[tuple[str, float | None]]] = []
    for number in range(len(rows)):
        strong = []
        for name in INDEPENDENT:
            values = measured[name].reshape(rows.shape[:2])
            row = values[number]
            if not np.isfinite(row).all():
                continue
            spread = np.nanstd(values)
            if row.std() < spread or spread == 0:
                continue
            if abs(r := pearson(place, row)) >= _MIN_CORRELATION:
                strong.append((row.std() / spread, NAMES[name], _rounded(r)))
        found.append([(name, r) for _, name, r in sorted(strong, reverse=True)[:_MAX_ATTRIBUTES]])
    return found
