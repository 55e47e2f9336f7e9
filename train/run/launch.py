"""From options to a training: resolve the config, load the images, make or open the run folder, train."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DeviceError, RunError, UsageError
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.data import load_images
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.engine.cpu_memory import keep_freed_memory
from infogan_tool.train.engine.stage import whole_batches
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import broadcast_checkpoint, read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.loop import TrainOutcome, data_digest, stages_of, total_steps, train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data import ImageSet
    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.options import RunOptions

__all__ = ["Plan", "plan_training", "resume_training", "select_device", "start_training"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A training that has been checked and not begun."""

    config: TrainConfig
    """Resolved: size and channels are those of the images."""
    images: ImageSet
    """What it trains on."""
    device: torch.device
    """Where it trains."""
    group: ProcessGroup = SINGLE_PROCESS
    """Who trains."""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--dry-run`` shows: the config and what follows from it."""
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


def plan_training(
    *,
    preset: str | None,
    config_file: Path | None,
    flags: Mapping[str, Any],
    device: str,
    threads: int | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Plan:
    """Resolve the config, load its images and choose the device; nothing is written.

    Args:
        preset: Name of a preset, or None for the file's or the default one.
        config_file: TOML or JSON laid over the preset.
        flags: Nested tables laid over both.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None: every core that this process may use.
        group: Who trains; its device was chosen when it came together.

    Raises:
        ConfigError, UsageError: The config is not possible.
        DataError: The images cannot be used.
        DeviceError: ``cuda`` was asked for and is not there.
    """
    with group.fail_together():
        chosen = select_device(device, threads) if group.is_single else group.device
        config = resolve_config(preset=preset, file=config_file, flags=flags)
    images = _load_images(config, group)
    seen: dict[str, Any] = {"data": {"size": images.size, "channels": images.channels}}
    if config.precision == "auto":
        seen["precision"] = fast_precision(chosen)
    values = group.broadcast_json(
        deep_merge(config.to_dict(), seen)
    )  # machines may differ in which precision is fast
    with group.fail_together():
        plan = Plan(config=validate_config(values), images=images, device=chosen, group=group)
        _refuse_small_batches(plan)
        plan.to_dict()  # builds the networks: a size that does not fit is refused before anything is made
    return plan


def _load_images(config: TrainConfig, group: ProcessGroup) -> ImageSet:
    data = config.data
    for first in (True, False):  # one process of a machine downloads, then the others find the files
        with group.fail_together():
            if first == (group.local_rank == 0 or data.source not in TORCHVISION_NAMES):
                images = load_images(data.source, size=data.size, channels=data.channels)
    return images


def _refuse_small_batches(plan: Plan) -> None:
    size = min(stage.batch_size_of(plan.config) for stage in stages_of(plan.config) if stage.shards_batches)
    if size < plan.group.size:
        raise UsageError(
            f"a batch of {size} images cannot be shared by {plan.group.size} processes: "
            f"--batch-size {plan.group.size} or more, or fewer processes"
        )


def start_training(
    plan: Plan, *, out: Path | None, console: Console, options: RunOptions | None = None
) -> tuple[RunFolder, TrainOutcome]:
    """Make the run folder and train.

    Args:
        plan: From :func:`plan_training`.
        out: Folder to make; None: the next number under ``runs/``.
        console: For progress, on stderr.
        options: What is not part of the config.

    Raises:
        OutputExistsError: ``out`` is there and not empty.
        InUseError: Another training is beginning there.
        NonFiniteError: The training diverged.
    """
    group = plan.group
    with group.fail_together():
        begun = group.is_main and out is not None and _begun_before(out, plan)
    if out is not None and group.broadcast_json(begun):
        return resume_training(
            out,
            schedule={},
            device=plan.device.type,
            console=console,
            options=options,
            group=group,
            done_is_well=True,
        )
    with ExitStack() as held:
        with group.fail_together():
            if group.is_main:
                run = RunFolder.create(out, plan.config, plan.images.name)
                held.enter_context(run.claimed())
                run.write_info(_info(plan))
        run = RunFolder(Path(group.broadcast_json(str(run) if group.is_main else None)))
        console.print(f"run: {run}", highlight=False, markup=False, soft_wrap=True)
        return run, _train(plan, run, console=console, options=options)


def _begun_before(out: Path, plan: Plan) -> bool:
    """Return whether an earlier start of this command by the same torchrun has made ``out``."""
    run = RunFolder(out)
    if plan.group.job is None or not run.has_config():
        return False
    # One killed between its config and its info has nothing yet that could be lost.
    return (
        run.read_info().get("job") == plan.group.job if run.has_info() else run.read_config() == plan.config
    )


def resume_training(
    path: Path,
    *,
    schedule: Mapping[str, Any],
    device: str,
    console: Console,
    options: RunOptions | None = None,
    threads: int | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
    done_is_well: bool = False,
) -> tuple[RunFolder, TrainOutcome]:
    """Go on with a run from its last checkpoint, or from the start if it was killed before the first.

    Args:
        path: The run folder.
        schedule: ``epochs`` or ``steps`` to go on to, in place of the run's own.
        device: As in :func:`plan_training`.
        threads: Likewise.
        console: For progress, on stderr.
        options: What is not part of the config.
        group: Who trains on; as many as before, or more, or fewer.
        done_is_well: Whether a run that is done already is no error.

    Raises:
        RunError: There is no such run, its checkpoint cannot be used, it is done already, or its images
            have changed.
        InUseError: Another training writes to it.
    """
    chosen = select_device(device, threads) if group.is_single else group.device
    run, checkpoint, values = RunFolder(path), None, None
    with ExitStack() as held:
        with group.fail_together():
            if group.is_main:
                run = RunFolder.open(path)
                held.enter_context(run.claimed())
                checkpoint = read_checkpoint(run.last_checkpoint) if run.has_checkpoint() else None
                values = deep_merge(run.read_config().to_dict(), {"schedule": dict(schedule)})
        checkpoint, values = broadcast_checkpoint(group, checkpoint), group.broadcast_json(values)
        with group.fail_together():
            config = validate_config(values)
        plan = Plan(config=config, images=_load_images(config, group), device=chosen, group=group)
        with group.fail_together():
            _refuse_small_batches(plan)
            last_step, done = (
                total_steps(config, len(plan.images)),
                checkpoint.header.step if checkpoint else 0,
            )
            if done >= last_step and done_is_well:
                return run, TrainOutcome(step=done, total_steps=last_step, interrupted=False)
            if done >= last_step:
                length = f"{done} of {last_step} steps"
                raise RunError(f"{run} is done ({length}): give a greater --epochs or --steps to go on")
            if checkpoint is None and group.is_main:
                _begin_anew(plan, run)
        place = f"going on at step {done}" if checkpoint else "which has no checkpoint yet: beginning anew"
        console.print(f"run: {run}, {place}", highlight=False, markup=False, soft_wrap=True)
        return run, _train(plan, run, console=console, options=options, resume=checkpoint)


def _begin_anew(plan: Plan, run: RunFolder) -> None:
    """Make a run that was killed before its first checkpoint as it was when it began."""
    info = _info(plan)
    if run.has_info() and run.read_info().get("data", {}).get("digest") != info["data"]["digest"]:
        raise RunError(f"{run} was begun on other images: give the same --data as at the start")
    run.make_folders()
    run.write_config(plan.config)
    run.write_info(info)
    run.cut_metrics(-1, None)


def _train(
    plan: Plan,
    run: RunFolder,
    *,
    console: Console,
    options: RunOptions | None,
    resume: Checkpoint | None = None,
) -> TrainOutcome:
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


def select_device(name: str, threads: int | None = None) -> torch.device:
    """Return the torch device, and set the CPU's threads: ``threads``, or every core that may be used.

    Raises:
        DeviceError: ``cuda`` was asked for and torch cannot use it.
    """
    if name == "cuda" and not torch.cuda.is_available():
        built = "this torch has no CUDA" if torch.version.cuda is None else "torch sees no usable NVIDIA GPU"
        raise DeviceError(f"--device cuda: {built}; use --device cpu, or mend the driver (nvidia-smi)")
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        return torch.device("cuda")
    torch.set_num_threads(threads or default_threads())
    keep_freed_memory()
    return torch.device("cpu")


def fast_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """Return bf16 where the device computes in it faster than in fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _info(plan: Plan) -> dict[str, Any]:
    images = plan.images
    return {
        "tool_version": __version__,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "numpy")},
        },
        "device": str(plan.device),
        "device_name": torch.cuda.get_device_name() if plan.device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "processes": plan.group.size,
        **({"job": plan.group.job} if plan.group.job else {}),
        "data": {
            "name": images.name,
            "images": len(images),
            "size": images.size,
            "channels": images.channels,
            "digest": data_digest(images.images),
        },
    }
