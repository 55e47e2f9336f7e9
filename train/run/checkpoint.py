"""Checkpoints: one safetensors file each, tensors with a JSON header, never a pickled object.

A checkpoint holds everything that the next step depends on: weights, BatchNorm statistics, the stage's
optimizers, artifacts of earlier stages, random states and the sums of the current logging interval. A resumed
run therefore writes the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from infogan_tool.runtime.errors import NonFiniteError, RunError
from infogan_tool.runtime.storage.atomic import open_regular, write_atomic

if TYPE_CHECKING:
    from torch import nn

    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.engine.stage import Stage

CHECKPOINT_SCHEMA: Final = 2
_HEADER_KEY: Final = "infogan.checkpoint"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointHeader:
    """The JSON in a checkpoint's header."""

    schema_version: int
    """Version of this format."""
    stage: str
    """Name of the stage that it was written in."""
    stage_step: int
    """Steps completed in that stage."""
    step: int
    """Steps completed in all stages."""
    meter_count: int
    """Steps in the sums of the current logging interval."""
    data_digest: str
    """Digest of the images trained on."""
    device: str
    """``cpu`` or ``cuda``. Random states are restored on the same type of device only."""
    tool_version: str
    """Version of infogan-tool that wrote it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint."""

    path: Path
    """The file; for messages where there is none."""
    header: CheckpointHeader
    tensors: dict[str, Tensor]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors under ``name/``, without that prefix."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix): t for key, t in self.tensors.items() if key.startswith(prefix)}


def take_checkpoint(path: Path, stage: Stage, header: CheckpointHeader) -> Checkpoint:
    """Return a copy, on the CPU, of the state after ``header.step`` steps.

    Raises:
        NonFiniteError: A weight or an optimizer state is not finite.
    """
    session = stage.session
    parts: dict[str, dict[str, Tensor]] = {
        "networks": session.networks.state_dict(),
        "artifacts": session.artifacts,
        "stage": stage.extra_state.state_dict(),
        "meters": {"sums": stage.meters.sums},
        "rng": {"stage": stage.rng.get_state(), "torch": torch.get_rng_state()},
    }
    if session.device.type == "cuda":
        parts["rng"]["cuda"] = torch.cuda.get_rng_state()
    for name, optimizer in stage.optimizers.items():
        states = optimizer.state_dict()["state"].items()
        parts[name] = {f"{index}/{key}": value for index, state in states for key, value in state.items()}
    tensors = {
        f"{part}/{name}": tensor.detach().to("cpu", copy=True).contiguous()
        for part, named in parts.items()
        for name, tensor in named.items()
    }
    _refuse_non_finite(tensors, ("networks", *stage.optimizers))
    return Checkpoint(path=path, header=header, tensors=tensors)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to ``path``, atomically.

    Raises:
        OSError: The file cannot be written; ``path`` is unchanged.
    """
    write_atomic(path, save(checkpoint.tensors, {_HEADER_KEY: json.dumps(asdict(checkpoint.header))}))


def _refuse_non_finite(tensors: dict[str, Tensor], parts: tuple[str, ...]) -> None:
    bad = [
        name
        for name, tensor in tensors.items()
        if name.split("/", 1)[0] in parts and tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if bad:
        raise NonFiniteError(f"not finite: {bad[0]}" + (f" and {len(bad) - 1} more" if bad[1:] else ""))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint from an untrusted file.

    Raises:
        RunError: It is missing, damaged, not a checkpoint of this tool, or of another schema.
    """
    try:
        open_regular(path).close()  # a named pipe would block the reader
        with safe_open(path, framework="pt") as file:
            values: Any = json.loads((file.metadata() or {}).get(_HEADER_KEY, "null"))
            if not isinstance(values, dict):
                raise RunError(f"{path} is not a checkpoint of infogan-tool")
            if values.get("schema_version") != CHECKPOINT_SCHEMA:
                raise RunError(
                    f"{path} has checkpoint schema {values.get('schema_version')!r:.20}; this version reads "
                    f"{CHECKPOINT_SCHEMA}: resume with the infogan-tool that wrote it"
                )
            header = CheckpointHeader(**values)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist: the run has no checkpoint yet") from error
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} cannot be read as a checkpoint: {error}") from error
    counts = (header.step, header.stage_step, header.meter_count)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise RunError(f"{path} has a damaged header")
    return Checkpoint(path=path, header=header, tensors=tensors)


def broadcast_checkpoint(group: ProcessGroup, checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return the main process's checkpoint; the others may not be able to read the file."""
    if group.is_single:
        return checkpoint
    header = group.broadcast_json(
        {"path": str(checkpoint.path), **asdict(checkpoint.header)} if checkpoint else None
    )
    if header is None:
        return None
    path = Path(header.pop("path"))
    tensors = group.broadcast_tensors(checkpoint.tensors if checkpoint else {})
    return Checkpoint(path=path, header=CheckpointHeader(**header), tensors=tensors)


def load_networks(networks: nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint's weights and BatchNorm statistics into networks of the same config.

    Raises:
        RunError: A tensor is missing, unknown or of another shape.
    """
    stored, own = checkpoint.part("networks"), networks.state_dict()
    wrong = sorted(stored.keys() ^ own.keys())
    wrong += [name for name in own if name in stored and stored[name].shape != own[name].shape]
    if wrong:
        raise RunError(
            f"{checkpoint.path} does not fit the run's config: {wrong[0]} (and {len(wrong) - 1} more)"
        )
    networks.load_state_dict(stored)
