"""The run folder: everything that a training writes, and what export and resume read.

::

    RUN/
      config.json             the resolved config
      run.json                versions, device, data
      metrics.jsonl           one line of named scalars per logging interval
      samples/                step-00000600.png ..., codes-00000600.png ...
      checkpoints/            last.safetensors, step-00006000.safetensors ...
      tensorboard/            only with --tensorboard
      profile/                only with --profile: STAGE.json.gz, STAGE.txt
      .lock                   while a training writes

config.json is written first: a folder that has one can be resumed, whenever the training was killed.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import OutputExistsError, RunError
from infogan_tool.runtime.storage.atomic import is_leftover, read_limited, remove_leftovers, write_atomic
from infogan_tool.runtime.storage.locks import only_writer
from infogan_tool.train.config.files import read_config_file, validate_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infogan_tool.train.config.schema import TrainConfig

_LOCK: Final = ".lock"
_MAX_INFO: Final = 1_000_000


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
        """Create a run folder: ``out``, or the next number under ``runs/``.

        Raises:
            OutputExistsError: ``out`` already exists and is not empty.
            InUseError: Another training is starting there.
            OSError: The folder cannot be created.
        """
        if out is not None:
            _refuse_taken(out)
            out.mkdir(parents=True, exist_ok=True)
        else:
            out = _next_numbered(Path("runs"), f"{config.preset}-{data_name}-seed{config.seed}")
        run = cls(out)
        with run.locked():
            _refuse_taken(out)
            run.write_config(config)
            run.make_folders()
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run at ``path``.

        Raises:
            RunError: There is no run at ``path``.
        """
        run = cls(path)
        if not run.has_config():
            what = "has no config.json" if path.is_dir() else "is not a folder"
            raise RunError(f"{path} {what}: a run is a folder written by infogan-tool train")
        return run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run against other trainings, and remove partial files of a killed one.

        Raises:
            InUseError: Another training writes to this run.
            OSError: The folder cannot be written.
        """
        with only_writer(self.path / _LOCK, str(self)) as is_locked:
            if is_locked:
                for folder in (self.path, self.samples, self.checkpoints):
                    remove_leftovers(folder)
            yield

    def make_folders(self) -> None:
        """Create the folders inside, where missing."""
        self.samples.mkdir(exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)

    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint, the last or one that is kept."""
        return self.checkpoints.is_dir() and any(
            not is_leftover(path.name) for path in self.checkpoints.iterdir()
        )

    @property
    def newest_checkpoint(self) -> Path:
        """The last checkpoint; where a run was killed before it was written, the newest that is kept."""
        kept = [] if self.last_checkpoint.exists() else self.checkpoints.glob("step-*.safetensors")
        return max(kept, default=self.last_checkpoint)

    def write_config(self, config: TrainConfig) -> None:
        """Write the resolved config."""
        write_atomic(self._config, _pretty(config.to_dict()))

    def read_config(self) -> TrainConfig:
        """Read the resolved config.

        Raises:
            ConfigError: The file is not a valid config.
        """
        return validate_config(read_config_file(self._config))

    def has_config(self) -> bool:
        """Return whether a training was started here."""
        return self._config.is_file()

    def write_info(self, info: dict[str, Any]) -> None:
        """Write run.json."""
        write_atomic(self._info, _pretty(info))

    def has_info(self) -> bool:
        """Return whether run.json exists."""
        return self._info.exists()

    def read_info(self) -> dict[str, Any]:
        """Read run.json: a table with a table ``data``, in which ``images`` is a number.

        Raises:
            RunError: It is missing or damaged.
        """
        try:
            info: dict[str, Any] = json.loads(read_limited(self._info, _MAX_INFO))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{self._info} cannot be read: {error}") from error
        data = info.get("data") if isinstance(info, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("images"), int):
            raise RunError(f"{self._info} does not record the training images")
        return info

    def kept_checkpoint(self, step: int) -> Path:
        """Return the path of the checkpoint that is kept after ``step`` steps."""
        return self.checkpoints / f"step-{step:08d}.safetensors"

    def sample_sheet(self, step: int) -> Path:
        """Return the path of the sample sheet after ``step`` steps."""
        return self.samples / f"step-{step:08d}.png"

    def code_sheet(self, step: int) -> Path:
        """Return the path of the sheet with a row for each code after ``step`` steps."""
        return self.samples / f"codes-{step:08d}.png"


def _pretty(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _refuse_taken(out: Path) -> None:
    """Refuse an existing path, except a folder that holds only what a training killed at its start left."""
    if out.is_dir() and all(path.name == _LOCK or is_leftover(path.name) for path in out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise OutputExistsError(out, "resume it with --resume, or give another --out")


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
