"""The run folder: everything that a training writes, and what export and resume read.

::

    RUN/
      config.json             the resolved config
      run.json                versions, device, data; the steps done so far are in the checkpoint
      metrics.jsonl           one line of named scalars per logging interval
      samples/                step-00000600.png ...
      checkpoints/            last.safetensors, step-00006000.safetensors ...
      tensorboard/            only with --tensorboard
      profile/                only with --profile: STAGE.json.gz, STAGE.txt
      .lock                   while a training writes

config.json is written first: a folder that has one can be resumed, whenever its training was killed.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import OutputExistsError, RunError
from infogan_tool.runtime.storage.atomic import atomic_open, is_leftover, remove_leftovers, write_atomic
from infogan_tool.runtime.storage.locks import only_writer
from infogan_tool.train.config.files import read_config_file, validate_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infogan_tool.train.config.schema import TrainConfig

__all__ = ["RunFolder"]

_LOCK: Final = ".lock"


class RunFolder:
    """Paths of one run, and the JSON files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.checkpoints = path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.safetensors"
        self._config = path / "config.json"
        self._info = path / "run.json"

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def create(cls, out: Path | None, config: TrainConfig, data_name: str) -> RunFolder:
        """Make a new run folder: ``out``, or the next number under ``runs/``.

        Raises:
            OutputExistsError: ``out`` is there and not empty.
            InUseError: Another training is beginning there.
            OSError: The folder cannot be made.
        """
        if out is not None:
            _refuse_taken(out)
            out.mkdir(parents=True, exist_ok=True)
        else:
            out = _next_numbered(Path("runs"), f"{config.preset}-{data_name}-seed{config.seed}")
        run = cls(out)
        with run.claimed():
            _refuse_taken(out)
            run.write_config(config)
            run.make_folders()
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run at ``path``.

        Raises:
            RunError: There is none.
        """
        run = cls(path)
        if not run._config.is_file():
            what = "has no config.json" if path.is_dir() else "is not a folder"
            raise RunError(f"{path} {what}: a run is a folder made by infogan-tool train")
        return run

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other trainings off while the block runs, and remove what a killed one left half-written.

        Raises:
            InUseError: Another training writes to this run.
            OSError: The folder cannot be written.
        """
        with only_writer(self.path / _LOCK, str(self)) as alone:
            if alone:
                for folder in (self.path, self.samples, self.checkpoints):
                    remove_leftovers(folder)
            yield

    def make_folders(self) -> None:
        """Make what is missing of the folders inside."""
        self.samples.mkdir(exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)

    def has_checkpoint(self) -> bool:
        """Return whether there is any checkpoint: one to go on from, or one that was kept."""
        return self.checkpoints.is_dir() and any(
            not is_leftover(path.name) for path in self.checkpoints.iterdir()
        )

    def write_config(self, config: TrainConfig) -> None:
        """Write the resolved config."""
        write_atomic(self._config, _pretty(config.to_dict()))

    def read_config(self) -> TrainConfig:
        """Read the resolved config back.

        Raises:
            ConfigError: It was changed into something that is not valid.
        """
        return validate_config(read_config_file(self._config))

    def has_config(self) -> bool:
        """Return whether a training has begun here."""
        return self._config.is_file()

    def write_info(self, info: dict[str, Any]) -> None:
        """Write versions, device and data."""
        write_atomic(self._info, _pretty(info))

    def has_info(self) -> bool:
        """Return whether :meth:`write_info` was called."""
        return self._info.exists()

    def read_info(self) -> dict[str, Any]:
        """Read what :meth:`write_info` wrote.

        Raises:
            RunError: It is missing or damaged.
        """
        try:
            info = json.loads(self._info.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{self._info} cannot be read: {error}") from error
        if not isinstance(info, dict):
            raise RunError(f"{self._info} must hold a table")
        return info

    def kept_checkpoint(self, step: int) -> Path:
        """Return the path of the checkpoint that stays after ``step`` steps."""
        return self.checkpoints / f"step-{step:08d}.safetensors"

    def sample_sheet(self, step: int) -> Path:
        """Return the path of the sample sheet after ``step`` steps."""
        return self.samples / f"step-{step:08d}.png"

    def cut_metrics(self, step: int, cut_short: tuple[str, int] | None) -> None:
        """Drop lines of metrics.jsonl that a run resumed after ``step`` steps writes again.

        Args:
            step: Later lines go.
            cut_short: Stage and stage step of a line that goes too: its interval was cut by the end of an
                earlier schedule and goes on now.
        """
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
                goes_on = (record["stage"], record["stage_step"]) == cut_short
                stays = record["step"] <= step and not goes_on
            except (ValueError, KeyError, TypeError):  # the last line of a killed run may be a part of one
                break
            if stays:
                kept.append(line + "\n")
        with atomic_open(self.metrics, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(kept)


def _pretty(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _refuse_taken(out: Path) -> None:
    """Refuse a folder that holds anything but what a training leaves that is killed as it begins."""
    if out.is_dir() and all(path.name == _LOCK or is_leftover(path.name) for path in out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise OutputExistsError(out, "go on with --resume, or name another --out")


def _next_numbered(root: Path, suffix: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    taken = [int(p.name[:5]) for p in root.iterdir() if p.name[:5].isdecimal()]
    number = max(taken, default=-1) + 1
    while True:
        path = root / f"{number:05d}-{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path
