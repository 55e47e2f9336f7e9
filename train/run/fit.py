"""Train: :func:`fit` plans a training, starts it or resumes it, and returns a :class:`Run`."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import torch

from infogan_tool.runtime.errors import DataError, RunError, UsageError
from infogan_tool.train.config.schema import TrainConfig
from infogan_tool.train.data.load import GIVEN_IN_PYTHON
from infogan_tool.train.data.opening import source_name
from infogan_tool.train.distributed.device import select_device
from infogan_tool.train.distributed.torchrun import has_restarts, join_process_group
from infogan_tool.train.infogan.generator_stage import GeneratorStage
from infogan_tool.train.run.callbacks import CallbackList
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.loggers import summary_writer
from infogan_tool.train.run.loop import train
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.plan import Plan, changed, open_images, plan_training
from infogan_tool.train.run.resume import has_same_job, read_run, start_over
from infogan_tool.train.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.plan import Data

_log: Final = logging.getLogger(__name__)


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
            called = _check_arguments(
                config, resume, out, callbacks=callbacks, schedule=schedule or {}, options=options
            )
        folder, checkpoint, restarts = None, None, False
        if config is not None:
            config = changed(config, {"schedule": dict(schedule or {})})
            plan = plan_training(
                config, data, device=device, threads=threads, stream=options.stream, group=group
            )
            if out is not None and out != "auto":
                with group.fail_together():
                    restarts = group.is_main and has_same_job(RunFolder(Path(out)), plan.config, group.job)
                restarts = group.broadcast_json(restarts)
            if out is not None and not restarts:
                folder = _create_folder(plan, out, stack)
        continued = out if restarts else resume
        if continued is not None:
            plan, folder, checkpoint = _resume(
                continued,
                data,
                stack,
                schedule=schedule or {},
                device=select_device(device, threads) if group.is_single else group.device,
                stream=options.stream,
                group=group,
                allow_finished=restarts,
            )
        return train(
            plan,
            folder,
            callbacks=called.callbacks,
            resume=checkpoint,
            records=resume.records if isinstance(resume, Run) and checkpoint else (),
            options=options,
        )


def _check_arguments(
    config: TrainConfig | None,
    resume: Run | str | Path | None,
    out: str | Path | None,
    *,
    callbacks: Iterable[object],
    schedule: Mapping[str, Any],
    options: RunOptions,
) -> CallbackList:
    """Return the callbacks, if the arguments of :func:`fit` are possible."""
    if (config is None) == (resume is None):
        raise UsageError("fit needs a config, or a run to resume: give one of them")
    if not isinstance(config, TrainConfig | None):
        raise UsageError(f"the config is a {type(config).__name__}: make it with preset(...)")
    if resume is not None and out is not None:
        raise UsageError("a resumed run keeps its folder: leave out= away")
    if resume is not None and (other := set(schedule) - {"kimg", "epochs", "steps"}):
        raise UsageError(f"schedule.{min(other)} of a run cannot be changed: give kimg, epochs or steps")
    in_memory = resume.path is None if isinstance(resume, Run) else resume is None and out is None
    if in_memory and (options.tensorboard or options.profile):
        raise UsageError("tensorboard and profile write into the run folder: give out=")
    if options.tensorboard:
        summary_writer()
    if out == "auto" and has_restarts(os.environ):
        raise UsageError("torchrun --max-restarts needs --out: a restart finds the run folder by it")
    return CallbackList(callbacks)


def _create_folder(plan: Plan, out: str | Path, stack: ExitStack) -> RunFolder:
    """Create the run folder, or the next one for ``"auto"``, and lock it until ``stack`` ends."""
    group, folder = plan.group, None
    with group.fail_together():
        if group.is_main:
            info = plan.info()  # reads images, one of which may be damaged
            folder = RunFolder.create(None if out == "auto" else Path(out), plan.config, plan.data.name)
            stack.enter_context(folder.locked())
            folder.write_info(info)
            _log.info("run: %s", folder)
    return RunFolder(Path(group.broadcast_json(str(folder) if group.is_main else None)))


def _resume(
    resume: Run | str | Path,
    data: Data | None,
    stack: ExitStack,
    *,
    schedule: Mapping[str, Any],
    device: torch.device,
    stream: bool | None,
    group: ProcessGroup,
    allow_finished: bool,
) -> tuple[Plan, RunFolder | None, Checkpoint | None]:
    """Read what a run continues from; without a checkpoint, reset the folder so that the run starts over.

    ``stack`` holds the lock of the folder, which other processes than the main one may not see. A finished
    run is refused, unless ``allow_finished``. The other arguments are those of :func:`fit`.
    """
    run = resume if isinstance(resume, Run) else None
    path = resume.path if isinstance(resume, Run) else Path(resume)
    folder = None if path is None else RunFolder(path)
    if folder is not None:
        with group.fail_together():
            if group.is_main:
                RunFolder.open(folder.path)
                stack.enter_context(folder.locked())
        config, checkpoint = read_run(folder, schedule, group)
    else:
        assert run is not None
        config, checkpoint = changed(run.config, {"schedule": dict(schedule)}), run.checkpoint
    source = source_name(data)
    if source is not None:
        config = changed(config, {"data": {"source": source}})
    if data is None and run is not None:
        images = run.data
    else:
        with group.fail_together():
            if data is None and config.data.source == GIVEN_IN_PYTHON:
                raise DataError(
                    "the images of this run were given in Python: give them again, with "
                    "fit(data=..., resume=...)"
                )
        images = open_images(config, data, device, stream, group)
    step = checkpoint.header.step if checkpoint else 0
    with group.fail_together():
        plan = Plan(config=config, data=images, device=device, group=group).check()
        if step >= plan.total_steps and not allow_finished:
            last = plan.stages[-1][0]
            remedy = (
                "give a larger --kimg, --epochs or --steps to continue it"
                if issubclass(last, GeneratorStage)
                else f"stage {last.name} comes after the adversarial one, so a longer training is a new run"
            )
            raise RunError(
                f"{folder or 'the run'} is finished ({step} of {plan.total_steps} steps): {remedy}"
            )
        if checkpoint is None and folder is not None and group.is_main:
            start_over(folder, config, plan.info())
    if group.is_main:
        how = f"resuming at step {step}" if checkpoint else "which has no checkpoint yet: starting over"
        _log.info("run: %s, %s", folder or "in memory", how)
    return plan, folder, checkpoint


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
