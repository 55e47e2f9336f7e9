"""Plan a training, start it in a new run folder, or resume it."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.data import load_images
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES
from infogan_tool.train.distributed.device import fast_precision, select_device
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.engine.stage import whole_batches
from infogan_tool.train.infogan.axes import first_layer
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.step import check_names
from infogan_tool.train.infogan.terms import check_terms
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.loop import TrainOutcome, data_digest, train
from infogan_tool.train.run.resume import has_same_job, read_run, start_over
from infogan_tool.train.run.stages import stages_of, total_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data import ImageSet
    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.options import RunOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A training that has been checked and not started."""

    config: TrainConfig
    """Resolved: size and channels are those of the images."""
    images: ImageSet
    """Training images."""
    device: torch.device
    """Where to train."""
    group: ProcessGroup = SINGLE_PROCESS
    """The processes of the training."""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--dry-run`` prints: the config and what follows from it."""
        networks = build_networks(self.config, size=self.images.size, channels=self.images.channels)
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.named_children()}
        return {
            "config": self.config.to_dict(),
            "images": len(self.images),
            "steps_per_epoch": whole_batches(len(self.images), self.config.schedule.batch_size),
            "steps": total_steps(self.config, len(self.images)),
            "latent_dim": self.config.latent.dim,
            "parameters": counts,
            "device": str(self.device),
        }

    def info(self) -> dict[str, Any]:
        """Return the content of run.json: versions, device and data."""
        images, on_gpu = self.images, self.device.type == "cuda"
        return {
            "tool_version": __version__,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "torchvision", "numpy")},
            },
            "device": str(self.device),
            "device_name": torch.cuda.get_device_name() if on_gpu else platform.machine(),
            "threads": torch.get_num_threads(),
            "processes": self.group.size,
            **({"job": self.group.job} if self.group.job else {}),
            "data": {
                "name": images.name,
                "images": len(images),
                "size": images.size,
                "channels": images.channels,
                "digest": data_digest(images.images),
            },
        }


def plan_training(
    *,
    preset: str | None,
    config_file: Path | None,
    flags: Mapping[str, Any],
    device: str,
    threads: int | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Plan:
    """Resolve the config, load its images and select the device; nothing is written.

    Args:
        preset: Name of a preset, or None for the file's or the default one.
        config_file: TOML or JSON file that overrides the preset.
        flags: Nested tables that override both.
        device: ``auto``, ``cpu`` or ``cuda``; not used in several processes, which have selected theirs.
        threads: CPU threads; None: one for every core that this process may use.
        group: The processes of the training.

    Raises:
        ConfigError, UsageError: The config is not possible.
        DataError: The images cannot be used.
        DeviceError: ``cuda`` is not available.
    """
    with group.fail_together():
        selected = select_device(device, threads) if group.is_single else group.device
        config = resolve_config(preset=preset, file=config_file, flags=flags)
    images = _load_images(config, group)
    resolved: dict[str, Any] = {"data": {"size": images.size, "channels": images.channels}}
    if config.clustering is not None and len(images) < config.clustering.batch_size:
        resolved["clustering"] = {"batch_size": len(images)}
    if config.precision == "auto":
        resolved["precision"] = fast_precision(selected)
    # The main process's config holds: machines may differ in the precision that is fast.
    values = group.broadcast_json(deep_merge(config.to_dict(), resolved))
    with group.fail_together():
        plan = Plan(config=validate_config(values), images=images, device=selected, group=group)
        _check_batch_size(plan)
        _check_networks(plan)
    return plan


def _load_images(config: TrainConfig, group: ProcessGroup) -> ImageSet:
    data = config.data
    for first in (True, False):  # one process of each machine downloads; then the others find the files
        with group.fail_together():
            if first == (group.local_rank == 0 or data.source not in TORCHVISION_NAMES):
                images = load_images(data.source, size=data.size, channels=data.channels)
    return images


def _check_batch_size(plan: Plan) -> None:
    size = min(stage.batch_size_of(plan.config) for stage in stages_of(plan.config) if stage.shards_batches)
    if size < plan.group.size:
        raise UsageError(
            f"a batch of {size} images cannot be split between {plan.group.size} processes: "
            f"use --batch-size {plan.group.size} or more, or fewer processes"
        )


def _check_networks(plan: Plan) -> None:
    """Refuse too few images, and networks, loss terms or schemes that are not known or do not fit."""
    total_steps(plan.config, len(plan.images))
    check_names(plan.config)
    networks = build_networks(plan.config, size=plan.images.size, channels=plan.images.channels)
    check_terms(plan.config, networks)
    if plan.config.axis_alignments and not plan.config.is_variational:
        first_layer(networks.generator)


def start_training(
    plan: Plan, *, out: Path | None, console: Console, options: RunOptions | None = None
) -> tuple[RunFolder, TrainOutcome]:
    """Create the run folder and train.

    A folder that an earlier start by the same torchrun created is resumed.

    Args:
        plan: From :func:`plan_training`.
        out: Folder to create; None: the next number under ``runs/``.
        console: For progress, on stderr.
        options: What is not part of the config.

    Raises:
        OutputExistsError: ``out`` already exists and is not empty.
        InUseError: Another training is starting there.
        NonFiniteError: The training diverged.
    """
    group = plan.group
    with group.fail_together():
        restarts = group.is_main and out is not None and has_same_job(RunFolder(out), plan.config, group.job)
    if out is not None and group.broadcast_json(restarts):
        return resume_training(
            out,
            schedule={},
            device=plan.device.type,
            console=console,
            options=options,
            threads=torch.get_num_threads(),
            group=group,
            allow_finished=True,
        )
    with ExitStack() as stack:
        with group.fail_together():
            if group.is_main:
                run = RunFolder.create(out, plan.config, plan.images.name)
                stack.enter_context(run.locked())
                run.write_info(plan.info())
        run = RunFolder(Path(group.broadcast_json(str(run) if group.is_main else None)))
        return run, _train(plan, run, console, options)


def resume_training(
    path: Path,
    *,
    schedule: Mapping[str, Any],
    device: str,
    console: Console,
    options: RunOptions | None = None,
    threads: int | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
    allow_finished: bool = False,
) -> tuple[RunFolder, TrainOutcome]:
    """Resume a run from its last checkpoint, or start it over if it was killed before the first one.

    Args:
        path: The run folder.
        schedule: ``kimg``, ``epochs`` or ``steps`` in place of the run's own length.
        device: As in :func:`plan_training`.
        console: For progress, on stderr.
        options: What is not part of the config.
        threads: As in :func:`plan_training`.
        group: The processes; their number may differ from before.
        allow_finished: Whether to accept a finished run and do nothing, rather than raise.

    Raises:
        RunError: There is no such run, its checkpoint cannot be used, it is finished, or its images have
            changed.
        InUseError: Another training writes to it.
    """
    selected = select_device(device, threads) if group.is_single else group.device
    run = RunFolder(path)
    with ExitStack() as stack:
        with group.fail_together():
            if group.is_main:
                RunFolder.open(path)
                stack.enter_context(run.locked())
        config, checkpoint = read_run(run, schedule, group)
        plan = Plan(config=config, images=_load_images(config, group), device=selected, group=group)
        with group.fail_together():
            _check_batch_size(plan)
            _check_networks(plan)
            last_step = total_steps(config, len(plan.images))
            step = checkpoint.header.step if checkpoint else 0
            if step >= last_step and allow_finished:
                return run, TrainOutcome(step=step, total_steps=last_step, interrupted=False)
            if step >= last_step:
                raise RunError(
                    f"{run} is finished ({step} of {last_step} steps): "
                    "give a larger --kimg, --epochs or --steps to continue it"
                )
            if checkpoint is None and group.is_main:
                start_over(run, config, plan.info())
        start = f", resuming at step {step}" if checkpoint else ", which has no checkpoint yet: starting over"
        return run, _train(plan, run, console, options, resume=checkpoint, start=start)


def _train(
    plan: Plan,
    run: RunFolder,
    console: Console,
    options: RunOptions | None,
    *,
    resume: Checkpoint | None = None,
    start: str = "",
) -> TrainOutcome:
    console.print(f"run: {run}{start}", highlight=False, markup=False, soft_wrap=True)
    return train(
        plan.config,
        plan.images.images,
        run,
        device=plan.device,
        console=console,
        options=options,
        resume=resume,
        group=plan.group,
    )
