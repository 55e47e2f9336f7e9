"""Recognise a run folder, and read its ``config.json`` and ``run.json`` without the libraries of training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.bundle.metadata import METADATA_FILE
from infogan_tool.runtime.errors import LatentError, RunError
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.storage.atomic import read_limited
from infogan_tool.runtime.storage.json_fields import refuse_constant

if TYPE_CHECKING:
    from pathlib import Path

_MAX_JSON: Final = 1_000_000
_MAX_SIZE: Final = 4096
_MAX_COUNT: Final = 10**15
_MAX_EPOCHS: Final = 500
"""Most passes over the data of a length in thousands of images, as in a training."""

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
        values = json.loads(read_limited(path, _MAX_JSON), parse_constant=refuse_constant)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
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


def planned_steps(config: dict[str, Any], images: int | None) -> list[tuple[str, int]]:
    """Return the stages of a run in order, each with its number of steps; none where these are not known.

    The names and numbers are those of :func:`infogan_tool.train.run.stages.steps_by_stage`.

    Args:
        config: What ``config.json`` holds; untrusted.
        images: Number of training images, where it is known.
    """
    schedule, clustering = _table(config, "schedule"), _table(config, "clustering")
    batch, clustering_batch = schedule.get("batch_size"), clustering.get("batch_size")
    stages: list[tuple[str, float | None]] = []
    if clustering and _table(config, "latent").get("categorical"):
        stages = [
            ("contrastive", _steps(_table(clustering, "contrastive"), clustering_batch, images)),
            ("neighbours", 1),
            ("grouping", 1),
            ("refinement", _steps(_table(clustering, "refinement"), clustering_batch, images)),
        ]
    is_variational = _table(config, "objective").get("method") == "variational"
    stages.append(("variational" if is_variational else "adversarial", _steps(schedule, batch, images)))
    if consolidation := _table(config, "consolidation"):
        stages.append(("consolidation", _steps(consolidation, batch, images)))
    known = [(name, round(steps)) for name, steps in stages if steps is not None]
    return known if len(known) == len(stages) else []


def _steps(length: dict[str, Any], batch_size: object, images: int | None) -> float | None:
    """Return the steps of a stage of ``steps``, ``epochs`` or ``kimg``; None where they are not known."""
    steps, epochs, kimg, size = map(_positive, (*map(length.get, ("steps", "epochs", "kimg")), batch_size))
    if steps is not None:
        return steps
    per_epoch = images // size if images and size else 0
    if not size or not per_epoch or (epochs or kimg) is None:
        return None
    if epochs is not None:
        return max(round(epochs * per_epoch), 1)
    return min(max(round((kimg or 0) * 1000 / size), 1), _MAX_EPOCHS * per_epoch)


def _table(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a table of a config; empty where there is none."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _positive(value: object) -> float | None:
    """Return a number of a config; None where it is not a positive number of reasonable size."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= _MAX_COUNT:
        return None
    return value
