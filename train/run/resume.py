"""Resuming a run: what is read from its folder, checked, restored and cut before training continues.

A run is resumed from its last checkpoint. A run that was killed before its first one starts over, which gives
the same numbers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool.runtime.errors import RunError
from infogan_tool.runtime.storage.atomic import atomic_open, open_regular
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.data.source import same_images
from infogan_tool.train.engine.memory_format import like_memory_format
from infogan_tool.train.run.checkpoint import broadcast_checkpoint, load_networks, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.engine.stage import Session, Stage
    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.folder import RunFolder
    from infogan_tool.train.run.plan import Plan
    from infogan_tool.train.run.run import Run


def read_run(
    run: RunFolder, schedule: Mapping[str, Any], group: ProcessGroup
) -> tuple[TrainConfig, Checkpoint | None]:
    """Read config and last checkpoint in the main process, and broadcast them.

    Args:
        run: An existing run; other processes may not see its folder.
        schedule: ``kimg``, ``epochs`` or ``steps`` in place of the run's own length.
        group: The processes.

    Raises:
        RunError: The checkpoint cannot be used.
        ConfigError: The config is not valid.
    """
    checkpoint = values = None
    with group.fail_together():
        if group.is_main:
            checkpoint = read_checkpoint(run.newest_checkpoint) if run.has_checkpoint() else None
            values = deep_merge(run.read_config().to_dict(), {"schedule": dict(schedule)})
    checkpoint, values = broadcast_checkpoint(group, checkpoint), group.broadcast_json(values)
    with group.fail_together():
        return validate_config(values), checkpoint


def has_same_job(run: RunFolder, config: TrainConfig, job: str | None) -> bool:
    """Return whether ``run`` was made by an earlier start of the same torchrun, which now restarts it."""
    if job is None or not run.has_config():
        return False
    # A run that was killed between writing its config and its info has nothing to lose yet.
    return run.read_info().get("job") == job if run.has_info() else run.read_config() == config


def start_over(run: RunFolder, config: TrainConfig, info: dict[str, Any]) -> None:
    """Reset a run that was killed before its first checkpoint.

    Raises:
        RunError: The run was started on other images.
    """
    digest = info["data"]["digest"]
    if run.has_info() and not same_images(run.read_info()["data"].get("digest", digest), digest):
        raise RunError(f"{run} was started on other images: give the same --data as at the start")
    run.make_folders()
    run.write_config(config)
    run.write_info(info)
    _cut_metrics(run.metrics, -1, None)


def restore_session(
    session: Session,
    checkpoint: Checkpoint,
    plan: Plan,
    run: Run,
    *,
    folder: RunFolder | None,
) -> None:
    """Load a checkpoint's networks and artifacts, and cut from the metrics what will be reported again.

    Args:
        session: With networks of the run's config.
        checkpoint: Where to resume.
        plan: Of the training.
        run: The run, whose records are cut.
        folder: The run folder, changed by the main process only, after all checks.

    Raises:
        RunError: The checkpoint is of other images, or of another config.
    """
    header, config = checkpoint.header, session.config
    if not same_images(header.data_digest, plan.digest):
        raise RunError(f"{checkpoint.path} is of a run on other images: give the same --data as at the start")
    steps = _steps_of_stage(checkpoint, plan.stages)
    load_networks(session.networks, checkpoint)
    session.artifacts = {
        name: tensor.to(session.device) for name, tensor in checkpoint.part("artifacts").items()
    }
    # An earlier, shorter schedule may have ended within a logging interval, which now becomes longer.
    is_partial = header.stage_step < steps and header.stage_step % config.schedule.log_every
    partial = (header.stage, header.stage_step) if is_partial else None
    if folder is None:
        run.records = _cut(run.records, header.step, partial)
    elif session.group.is_main:
        folder.make_folders()
        folder.write_config(config)  # the schedule may be longer than before
        folder.write_info(run.info)
        run.records = _cut_metrics(folder.metrics, header.step, partial)


def _steps_of_stage(checkpoint: Checkpoint, stages: list[tuple[type[Stage], int]]) -> int:
    """Return the number of steps of the checkpoint's stage.

    Raises:
        RunError: The checkpoint is further than that, or the stages before it have changed.
    """
    header, before = checkpoint.header, 0
    for stage, steps in stages:
        if stage.name == header.stage:
            if before != header.step - header.stage_step:
                raise RunError(
                    f"{checkpoint.path} was written in stage {header.stage}: the length of earlier stages "
                    "cannot be changed any more; start a new run for that"
                )
            if header.stage_step > steps:
                raise RunError(
                    f"{checkpoint.path}: stage {stage.name} has {header.stage_step} steps already: "
                    f"give a length of at least {header.stage_step}, not {steps}"
                )
            return steps
        before += steps
    raise RunError(f"{checkpoint.path} was written in a stage that this config does not have: {header.stage}")


def _cut_metrics(metrics: Path, step: int, partial: tuple[str, int] | None) -> list[dict[str, Any]]:
    """Drop the lines of metrics.jsonl that :func:`_cut` drops; return the others' records."""
    records: list[dict[str, Any]] = []
    try:
        with open_regular(metrics) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return records
    except ValueError as error:
        raise RunError(str(error)) from error
    for line in lines:
        try:
            record = json.loads(line)
            _ = record["stage"], record["stage_step"], record["step"] <= step
        except (ValueError, KeyError, TypeError, RecursionError):  # a killed run may have written half a line
            break
        records.append(record)
    records = _cut(records, step, partial)
    with atomic_open(metrics, "w", encoding="utf-8", newline="\n") as written:
        written.writelines(json.dumps(record) + "\n" for record in records)
    return records


def _cut(records: list[dict[str, Any]], step: int, partial: tuple[str, int] | None) -> list[dict[str, Any]]:
    """Return the records up to ``step``, but for the one of stage and stage step ``partial``."""
    return [r for r in records if r["step"] <= step and (r["stage"], r["stage_step"]) != partial]


def restore_stage(stage: Stage, checkpoint: Checkpoint) -> bool:
    """Load a stage's optimizers, tensors, meters and random states.

    Returns:
        Whether the random states were restored. They are not where the checkpoint was written on another type
        of device, whose random numbers differ; the stage's generator then has a new seed.

    Raises:
        RunError: The checkpoint is of another config.
    """
    header, states = checkpoint.header, checkpoint.part("rng")
    try:
        for name, optimizer in stage.optimizers.items():
            _load_optimizer(optimizer, checkpoint.part(name), checkpoint.path)
        stage.extra_state.load_state_dict(checkpoint.part("stage"))
        stage.meters.load(checkpoint.part("meters")["sums"], header.meter_count)
        if header.device != stage.rng.device.type:
            stage.rng.manual_seed(stage.session.config.seed + header.step)
            return False
        stage.rng.set_state(states["stage"])
        torch.set_rng_state(states["torch"])
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"])
    except RunError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{checkpoint.path} does not fit the run's config: {reason}") from error
    return True


def _load_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor], path: Path) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in stored.items():
        index, _, key = name.partition("/")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise RunError(f"{path} has an optimizer state for a parameter that does not exist: {name}")
        if tensor.ndim and tensor.shape != parameters[int(index)].shape:
            raise RunError(f"{path} has an optimizer state of another shape: {name}")
        state.setdefault(int(index), {})[key] = (
            like_memory_format(tensor, parameters[int(index)]) if tensor.ndim else tensor
        )
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
