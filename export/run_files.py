"""Recognise a run folder, and read its ``config.json`` and ``run.json`` without the libraries of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import LatentError, RunError
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.storage.atomic import read_limited
from infogan_tool.runtime.storage.json_fields import parse_json

if TYPE_CHECKING:
    from pathlib import Path

_MAX_JSON: Final = 1_000_000
_MAX_SIZE: Final = 4096
_MAX_COUNT: Final = 10**15
_MAX_STAGES: Final = 20

CONFIG_FILE: Final = "config.json"
"""The file that every run has."""


def is_run(path: Path) -> bool:
    """Return whether a folder is a run, not a bundle."""
    return not (path / METADATA_FILE).exists() and (path / CONFIG_FILE).exists()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a run's file; empty if the file does not exist.

    Raises:
        RunError: The file is damaged.
    """
    try:
        values = parse_json(read_limited(path, _MAX_JSON))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} must hold a JSON object")
    return values


def latent_of(config: dict[str, Any]) -> LatentSpec | None:
    """Return the latent spec in a run's config; None where there is no valid one."""
    try:
        return LatentSpec.from_dict(config.get("latent"))
    except LatentError:
        return None


def size_of(config: dict[str, Any]) -> int | None:
    """Return the side of the images in a run's config, in pixels; None where there is no valid one."""
    data = config.get("data")
    size = data.get("size") if isinstance(data, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= _MAX_SIZE else None


def planned_steps(info: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the stages of a run in order, each with its number of steps; none where they are not known.

    Args:
        info: What ``run.json`` holds; untrusted.
    """
    stages = info.get("stages")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        return []
    plan = [(stage.get("name"), stage.get("steps")) for stage in stages[:_MAX_STAGES]]
    known = [(name, steps) for name, steps in plan if isinstance(name, str) and is_count(steps)]
    return known if len(known) == len(stages) else []


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value of ``run.json`` is a positive whole number, of at most 10**15."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_COUNT
