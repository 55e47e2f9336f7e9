"""Train: :func:`fit` plans a training, starts it or resumes it, and returns a :class:`Run`."""

from __future__ import annotations

import logging
import os
import platform
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import RunError, UsageError
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.schema import TrainConfig
from infogan_tool.train.data.opening import open_data, source_name
from infogan_tool.train.data.source import TrainingData, data_digest
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES
from infogan_tool.train.distributed.device import fast_precision, select_device
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.distributed.torchrun import has_restarts, join_process_group
from infogan_tool.train.engine.stage import whole_batches
from infogan_tool.train.infogan.axes import first_layer
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.schemes import check_names
from infogan_tool.train.infogan.terms import check_terms
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.loop import train
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.resume import has_same_job, read_run, start_over
from infogan_tool.train.run.run import Run
from infogan_tool.train.run.stages import planned_stages, stages_of, steps_by_stage, total_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt
    from torch import Tensor

    from infogan_tool.train.data import ImageSet
    from infogan_tool.train.data.given import Images
    from infogan_tool.train.run.checkpoint import Checkpoint

    Data = str | Path | npt.NDArray[Any] | Tensor | Images | ImageSet

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A training that has been checked and not started."""

    config: TrainConfig
    """Resolved: size and channels are those of the images."""
    data: TrainingData
    """Training images."""
    device: torch.device
    """Where to train."""
    group: ProcessGroup = SINGLE_PROCESS
    """The processes of the training."""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--dry-run`` prints: the config and what follows from it."""
        networks = build_networks(self.config, size=self.data.size, channels=self.data.channels)
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.named_children()}
        count = len(self.data.images)
        return {
            "config": self.config.to_dict(),
            "images": count,
            "steps_per_epoch": whole_batches(count, self.config.schedule.batch_size),
            "steps": total_steps(self.config, count),
            "latent_dim": self.config.latent.dim,
            "parameters": counts,
            "device": str(self.device),
        }

    def info(self) -> dict[str, Any]:
        """Return the content of run.json: versions, device, stages and data."""
        data, on_gpu = self.data, self.device.type == "cuda"
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
            "stages": planned_stages(steps_by_stage(self.config, len(data.images))),
            "data": {
                "name": data.name,
                "images": len(data.images),
                "size": data.size,
                "channels": data.channels,
                "digest": data_digest(data.images),
            },
        }


def plan_training(
    config: TrainConfig,
    data: Data | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    stream: bool | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> Plan:
    """Load the images of a config and select the device; nothing is written. For arguments see :func:`fit`.

    Raises:
        ConfigError, UsageError: The config is not possible.
        DataError: The images cannot be used.
        DeviceError: ``cuda`` is not available.
    """
    with group.fail_together():
        selected = select_device(device, threads) if group.is_single else group.device
    source = source_name(data)
    if source is not None:
        config = _changed(config, {"data": {"source": source}})
    images = _open_data(config, data, selected, stream, group)
    resolved: dict[str, Any] = {"data": {"size": images.size, "channels": images.channels}}
    if (clustering := config.clustering) is not None:
        size = min(len(images.images), clustering.neighbours.images, clustering.batch_size)
        resolved["clustering"] = {"batch_size": size}
    if config.precision == "auto":
        resolved["precision"] = fast_precision(selected)
    # The main process's config holds: machines may differ in the precision that is fast.
    values = group.broadcast_json(deep_merge(config.to_dict(), resolved))
    with group.fail_together():
        plan = Plan(config=validate_config(values), data=images, device=selected, group=group)
        _check_batch_size(plan)
        _check_networks(plan)
    return plan


def _open_data(
    config: TrainConfig, data: Data | None, device: torch.device, stream: bool | None, group: ProcessGroup
) -> TrainingData:
    for first in (True, False):  # one process of each machine downloads; then the others find the files
        with group.fail_together():
            if first == (group.local_rank == 0 or config.data.source not in TORCHVISION_NAMES):
                images = open_data(data, config.data, device=device, stream=stream)
    return images


def _changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    return validate_config(deep_merge(config.to_dict(), changes))


def _check_batch_size(plan: Plan) -> None:
    size = min(stage.batch_size_of(plan.config) for stage in stages_of(plan.config) if stage.shards_batches)
    if size < plan.group.size:
        raise UsageError(
            f"a batch of {size} images cannot be split between {plan.group.size} processes: "
            f"use --batch-size {plan.group.size} or more, or fewer processes"
        )


def _check_networks(plan: Plan) -> None:
    """Refuse too few images, and networks, loss terms or schemes that are not known or do not fit."""
    total_steps(plan.config, len(plan.data.images))
    check_names(plan.config)
    networks = build_networks(plan.config, size=plan.data.size, channels=plan.data.channels)
    check_terms(plan.config, networks)
    if plan.config.axis_alignments and not plan.config.is_variational:
        first_layer(networks.generator)


def fit(
    config: TrainConfig | None = None,
    data: Data | None = None,
    *,
    out: str | Path | None = None,
    callbacks: Iterable[object] = (),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    resume: Run | str | Path | None = None,
    schedule: Mapping[str, Any] | None = None,
    options: RunOptions | None = None,
    group: ProcessGroup | None = None,
) -> Run:
    """Train an InfoGAN, or resume a training.

    Ctrl-C ends the training after its step; the run that is returned is then ``interrupted``. An exception
    has the attribute ``run``. Either can be resumed from its last saved state with the same numbers as if it
    had not stopped. torch's random state, number of threads and flags are restored at the end.

    Args:
        config: What to train; see :func:`~infogan_tool.train.preset`. Not needed to resume a run.
        data: The images: a numpy array or a tensor, uint8 from 0 to 255 or float from 0 to 1, ``(N, H, W)``,
            ``(N, H, W, C)`` or ``(N, C, H, W)``; a map-style data set such as torch's
            (:class:`~infogan_tool.train.data.given.Images`); a folder; or the name of a built-in data set.
            None: those of the config, or of the resumed run.
        out: Run folder to create; ``"auto"``: the next number under ``runs/``; None: nothing is written.
        callbacks: Are called during the training; see :class:`~infogan_tool.train.Callback`.
        device: ``auto``: a GPU if there is one.
        threads: CPU threads; None: one for every core that this process may use.
        resume: A run, or its folder. The run's own config is used, and its folder is continued.
        schedule: ``kimg``, ``epochs`` or ``steps`` in place of the config's length.
        options: Options that change no number.
        group: The processes of the training; None: those that torchrun started, or this one.

    Returns:
        The run, with networks in evaluation mode, metrics, config and state.

    Raises:
        ConfigError, UsageError: The config or the arguments are not possible.
        DataError: The images cannot be used.
        DeviceError: ``cuda`` is not available.
        OutputExistsError: ``out`` already exists and is not empty.
        InUseError: Another training writes to the run folder.
        NonFiniteError: The training diverged.
        RunError: The run to resume cannot be used, or is finished, or a file cannot be written.
        CallbackError: A callback raised an exception; the state was saved.
    """
    options = options or RunOptions()
    with ExitStack() as stack:
        stack.enter_context(_torch_state())
        if group is None:
            group = stack.enter_context(join_process_group(device, threads))
        with group.fail_together():
            if (config is None) == (resume is None):
                raise UsageError("fit needs a config, or a run to resume: give one of them")
            if not isinstance(config, TrainConfig | None):
                raise UsageError(f"the config is a {type(config).__name__}: make it with preset(...)")
            if resume is not None and out is not None:
                raise UsageError("a resumed run keeps its folder: leave out= away")
            if out == "auto" and has_restarts(os.environ):
                raise UsageError("torchrun --max-restarts needs --out: a restart finds the run folder by it")
        if resume is not None:
            selected = select_device(device, threads) if group.is_single else group.device
            further = _Further(callbacks, options, selected, group)
            return _resume(resume, data, further, schedule=schedule or {})
        assert config is not None
        if schedule:
            config = _changed(config, {"schedule": dict(schedule)})
        plan = plan_training(config, data, device=device, threads=threads, stream=options.stream, group=group)
        if out is not None and out != "auto":
            with group.fail_together():
                restarts = group.is_main and has_same_job(RunFolder(Path(out)), plan.config, group.job)
            if group.broadcast_json(restarts):
                further = _Further(callbacks, options, plan.device, group)
                return _resume(out, data, further, allow_finished=True)
        return _start(plan, out, callbacks, options)


class _Further(NamedTuple):
    """Arguments of :func:`fit` that are passed on."""

    callbacks: Iterable[object]
    options: RunOptions
    device: torch.device
    group: ProcessGroup


def _start(plan: Plan, out: str | Path | None, callbacks: Iterable[object], options: RunOptions) -> Run:
    group, folder = plan.group, None
    with ExitStack() as stack:
        if out is not None:
            with group.fail_together():
                if group.is_main:
                    chosen = None if out == "auto" else Path(out)
                    folder = RunFolder.create(chosen, plan.config, plan.data.name)
                    stack.enter_context(folder.locked())
                    folder.write_info(plan.info())
            folder = RunFolder(Path(group.broadcast_json(str(folder) if group.is_main else None)))
            if group.is_main:
                _log.info("run: %s", folder)
        return _train(plan, folder, callbacks, options)


def _resume(
    resume: Run | str | Path,
    data: Data | None,
    further: _Further,
    *,
    schedule: Mapping[str, Any] | None = None,
    allow_finished: bool = False,
) -> Run:
    """Resume a run from its last checkpoint, or start it over if it was killed before the first one.

    Args:
        resume: The run, or its folder; other processes may not see the folder.
        data: As in :func:`fit`.
        further: As in :func:`fit`. The number of processes may differ from before.
        schedule: As in :func:`fit`.
        allow_finished: Whether to accept a finished run and do nothing, rather than raise.
    """
    callbacks, options, device, group = further
    run = resume if isinstance(resume, Run) else None
    path = resume.path if isinstance(resume, Run) else Path(resume)
    folder = None if path is None else RunFolder(path)
    with ExitStack() as stack:
        if folder is not None:
            with group.fail_together():
                if group.is_main:
                    RunFolder.open(folder.path)
                    stack.enter_context(folder.locked())
            config, checkpoint = read_run(folder, schedule or {}, group)
        else:
            assert run is not None
            config, checkpoint = _changed(run.config, {"schedule": dict(schedule or {})}), run.checkpoint
        source = source_name(data)
        if source is not None:
            config = _changed(config, {"data": {"source": source}})
        if data is None and run is not None:
            images = run.data
        else:
            images = _open_data(config, data, device, options.stream, group)
        plan = Plan(config=config, data=images, device=device, group=group)
        with group.fail_together():
            _check_batch_size(plan)
            _check_networks(plan)
            last_step = total_steps(config, len(plan.data.images))
            step = checkpoint.header.step if checkpoint else 0
            if step >= last_step and not allow_finished:
                raise RunError(
                    f"{folder or 'the run'} is finished ({step} of {last_step} steps): "
                    "give a larger --kimg, --epochs or --steps to continue it"
                )
            if checkpoint is None and folder is not None and group.is_main:
                start_over(folder, config, plan.info())
        missing = "which has no checkpoint yet: starting over"
        if group.is_main:
            how = f"resuming at step {step}" if checkpoint else missing
            _log.info("run: %s, %s", folder or "in memory", how)
        return _train(plan, folder, callbacks, options, resume=checkpoint, records=run.records if run else ())


def _train(
    plan: Plan,
    folder: RunFolder | None,
    callbacks: Iterable[object],
    options: RunOptions,
    *,
    resume: Checkpoint | None = None,
    records: Iterable[dict[str, Any]] = (),
) -> Run:
    return train(
        plan.config,
        plan.data,
        folder,
        device=plan.device,
        callbacks=callbacks,
        resume=resume,
        records=records,
        info=plan.info(),
        options=options,
        group=plan.group,
    )


@contextmanager
def _torch_state() -> Iterator[None]:
    """Restore torch's random state, number of threads and flags when the block ends."""
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.set_num_threads(threads)
        cudnn.deterministic, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = flags
