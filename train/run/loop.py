"""The training loop, top to bottom: :func:`train` runs the stages, :class:`_StageLoop` the steps of one."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DataError, InfoganError, NonFiniteError, PeerLostError, RunError
from infogan_tool.train.data.computed import ComputedImages
from infogan_tool.train.data.source import close, same_images
from infogan_tool.train.distributed.process_group import mixed_seed
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.engine.cpu_memory import keep_freed_memory, release_freed_memory
from infogan_tool.train.engine.memory_format import to_memory_format
from infogan_tool.train.engine.profiling import profile_steps, section
from infogan_tool.train.engine.stage import Session, Stage, use_precision
from infogan_tool.train.infogan.architecture_registry import check_forward
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.callbacks import CallbackList
from infogan_tool.train.run.checkpoint import (
    CHECKPOINT_SCHEMA,
    CheckpointHeader,
    take_checkpoint,
    write_checkpoint,
)
from infogan_tool.train.run.loggers import JsonLinesLogger, SpeedClock, TensorBoardLogger
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.resume import restore_session, restore_stage
from infogan_tool.train.run.run import Run, StageProgress
from infogan_tool.train.run.signals import stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.folder import RunFolder
    from infogan_tool.train.run.plan import Plan

_log: Final = logging.getLogger(__name__)


def train(
    plan: Plan,
    folder: RunFolder | None,
    *,
    callbacks: Iterable[object] = (),
    resume: Checkpoint | None = None,
    records: Iterable[dict[str, Any]] = (),
    options: RunOptions | None = None,
) -> Run:
    """Train to the end of the plan, or until a signal or a callback stops it.

    Args:
        plan: What to train. Each process has the same config and images; the main one writes.
        folder: Folder of metrics, samples and checkpoints; None: nothing is written.
        callbacks: See :class:`~infogan_tool.train.run.callbacks.Callback`.
        resume: Checkpoint to resume from, in each process; None: from the start.
        records: Metrics of the run so far, where there is no folder.
        options: What is not part of the config.

    Raises:
        DataError: There are fewer images than one batch, or an image cannot be read.
        NonFiniteError: A loss, gradient or weight is not finite; the last good checkpoint is kept.
        RunError: The checkpoint is of other networks or images, or the run folder cannot be written any more.
        CallbackError: A callback failed; the state was saved.
        PeerLostError: Another process ended.
    """
    config, data, device, group = plan.config, plan.data, plan.device, plan.group
    options, called = options or RunOptions(), CallbackList(callbacks if group.is_main else ())
    with group.fail_together():
        digest = plan.digest
    main_digest = group.broadcast_json(digest)
    with group.fail_together():
        if not same_images(digest, main_digest):
            raise DataError("not all processes have the same images: every machine needs the same --data")
        total_steps = plan.total_steps

    # Build networks and session from the seed.
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(config.seed)
    use_precision(config.precision)
    networks = build_networks(config, size=data.size, channels=data.channels)
    convert_sync_batchnorm(networks, group)
    networks = to_memory_format(networks.to(device))
    check_forward(config, networks.image, networks.generator, networks.trunk)
    session = Session(
        config=config,
        networks=networks,
        images=data.images.to(device),
        # A captured step neither reads images, waits for other processes, nor can its parts be profiled.
        cuda_graphs=device.type == "cuda"
        and isinstance(data.images, (torch.Tensor, ComputedImages))
        and group.is_single
        and options.capture
        and not options.profile,
        group=group,
    )
    run = Run(
        config=config,
        networks=session.networks,
        data=data,
        path=folder.path if folder else None,
        info=plan.info(),
        total_steps=total_steps,
        records=list(records),
        checkpoint=None if folder else resume,
    )
    with group.fail_together():
        if resume is not None:
            restore_session(session, resume, plan, run, folder=folder)
        if options.tensorboard and folder and group.is_main:
            called.add(TensorBoardLogger(folder.path / "tensorboard"))

    # Train stage by stage.
    try:
        with stop_signals(run.stop_event):
            called.call("on_start", run)
            _run_stages(plan, session, run, folder, called, resume=resume, profile=options.profile)
    except BaseException as error:
        error.run = run  # type: ignore[attr-defined]  # so that its state is not lost
        raise
    finally:
        close(session.images)
        networks.eval()
        called.call("on_end", run)
    with group.fail_together():
        if called.failure is not None:
            called.failure.run = run
            raise called.failure
    return run


def _run_stages(
    plan: Plan,
    session: Session,
    run: Run,
    folder: RunFolder | None,
    callbacks: CallbackList,
    *,
    resume: Checkpoint | None,
    profile: bool,
) -> None:
    """Run the stages of ``plan`` from ``resume`` on, until the last one or a stop."""
    group = session.group
    with JsonLinesLogger(folder.metrics) if folder and group.is_main else nullcontext() as log:
        for number, (stage_class, steps) in enumerate(plan.stages, 1):
            if resume is not None and resume.header.stage != stage_class.name:  # an earlier, finished stage
                run.step += steps
                continue
            for tensor in (*session.networks.state_dict().values(), *session.artifacts.values()):
                group.broadcast(tensor)  # machines may round differently: each stage starts with equal values
            stage = stage_class(session)
            run.stage = StageProgress(stage.name, number, len(plan.stages), 0, steps, stage.steps_per_epoch)
            loop = _StageLoop(stage, run, run.stage, folder, digest=plan.digest, log=log, callbacks=callbacks)
            with loop.profiled() if profile and folder and group.is_main else nullcontext():
                loop.run_steps(resume)
            resume = None
            if loop.stopped:
                return
            stage.finish()
            del stage, loop
            release_freed_memory()  # of a stage that needed more than the next one


class _StageLoop:
    """The steps of one stage, and what is done between them.

    Args:
        stage: To run.
        run: The run that it is a stage of; its numbers of steps are kept.
        progress: The part of ``run`` that counts the stage's steps.
        folder: Run folder; None: nothing is written.
        digest: Digest of the images.
        log: Writes metrics.jsonl, in the main process.
        callbacks: Are called after steps, reports and checkpoints.
    """

    def __init__(
        self,
        stage: Stage,
        run: Run,
        progress: StageProgress,
        folder: RunFolder | None,
        *,
        digest: str,
        log: JsonLinesLogger | None,
        callbacks: CallbackList,
    ) -> None:
        self.group, self.schedule = stage.session.group, stage.session.config.schedule
        self.stage, self.run, self.progress, self.offset = stage, run, progress, run.step
        self.folder, self.digest, self.log, self.callbacks = folder, digest, log, callbacks
        self.stopped = False
        self._saved_at: int | None = None
        self._profile: torch.profiler.profile | None = None

    @property
    def done(self) -> int:
        """Steps of the stage that are completed."""
        return self.progress.step

    @done.setter
    def done(self, step: int) -> None:
        self.progress.step, self.run.step = step, self.offset + step

    @contextmanager
    def profiled(self) -> Iterator[None]:
        """Profile some of the steps, and log and write the result."""
        assert self.folder is not None
        folder, device = self.folder.path / "profile", self.stage.session.device
        with profile_steps(folder, self.stage.name, device) as self._profile:
            yield

    def run_steps(self, resume: Checkpoint | None) -> None:
        """Run the steps to the stage's end or until a stop.

        Raises:
            NonFiniteError: As in :func:`train`.
            RunError: A file cannot be written: the disk is full, the folder was removed or is read-only.
        """
        if resume is not None:
            with self.group.fail_together():
                self._restore(resume)
        _log.debug(
            "stage %s: %d steps of %d images", self.stage.name, self.progress.steps, self.stage.batch_size
        )
        self.callbacks.call("on_stage", self.run)
        try:
            if resume is None:
                self.stage.begin()
                self._write_samples()
            self._run_steps()
            self.stopped = self.group.any(self.run.stop_event.is_set())
        except PeerLostError as error:
            self.group.ignore_sigterm()
            raise PeerLostError(
                f"{error}; {self._last_good()}: resume with --resume {self.folder}"
            ) from error
        except InfoganError:
            raise
        except OSError as error:
            file = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
            reason = error.strerror or " ".join(str(error).split())
            raise RunError(
                f"{file}{reason}; stopped after step {self.run.step}, {self._last_good()}"
            ) from error

    def _restore(self, resume: Checkpoint) -> None:
        self.done = self._saved_at = resume.header.stage_step
        if not restore_stage(self.stage, resume):
            _log.warning(
                "the checkpoint was written on %s: its random states do not fit %s, so the run continues "
                "with new ones",
                resume.header.device,
                self.stage.session.device.type,
            )

    def _run_steps(self) -> None:
        stage, schedule, stop = self.stage, self.schedule, self.run.stop_event
        steps = self.progress.steps
        stage.read_ahead(self.done, steps)
        clock = SpeedClock(self.done, stage.batch_size)
        while self.done < steps and not self.group.any_at(self.done, stop.is_set()):
            self._seed_dropout()
            with self._located(self.done + 1):
                stage.step(self.done)
            self.done += 1
            at_end = self.done == steps
            if at_end or self.done % schedule.log_every == 0:
                with section("metrics"):
                    self._report(clock)
            self.callbacks.call("on_step", self.run)
            if at_end or self.done % schedule.sample_every == 0:
                with section("sheets"):
                    self._write_samples()
            keep = stage.trains_generator and self.done % schedule.keep_every == 0
            if at_end or keep or self.done % schedule.checkpoint_every == 0:
                with section("checkpoints"):
                    self._save(keep=keep)
            if self._profile is not None:
                self._profile.step()
        if self._saved_at != self.done:
            self._save(keep=False)

    def _seed_dropout(self) -> None:
        # Each process drops channels of its own shard. A seed of seed, step and rank needs no saved state.
        if not self.group.is_single and self.stage.session.config.networks.dropout:
            step = self.run.step
            torch.manual_seed(mixed_seed(f"dropout {self.stage.seed} {step} {self.group.rank}"))

    def _write_samples(self) -> None:
        with self.group.fail_together():
            if self.stage.trains_generator and self.group.is_main and self.folder:
                step = self.run.step
                self.stage.write_samples(self.folder.sample_sheet(step), self.folder.code_sheet(step))

    def _report(self, clock: SpeedClock) -> None:
        with self._located(self.done):
            scalars = self.stage.scalars()
        record: dict[str, Any] = {
            "step": self.run.step,
            "stage": self.stage.name,
            "stage_step": self.done,
            "Progress/epoch": self.done / self.stage.steps_per_epoch,
            "Progress/kimg": self.done * self.stage.batch_size / 1000,
            **scalars,
            **clock.read(self.done),
        }
        self.run.records.append(record)
        with self.group.fail_together():
            if self.log is not None:
                self.log.on_report(self.run, record)
        self.callbacks.call("on_report", self.run, record)
        if self.done % self.schedule.log_every == 0:  # the stage's last interval may be longer when resumed
            self.stage.meters.reset()

    def _save(self, *, keep: bool) -> None:
        with self._located(self.done):
            self.stage.optimizer_step.check()
        with self.group.fail_together():
            if self.group.is_main:
                self._write_checkpoints(keep=keep)
        self._saved_at = self.done
        path = self.folder and self.folder.last_checkpoint
        _log.debug("step %d: saved%s", self.run.step, f" to {path}" if path else "")
        self.callbacks.call("on_checkpoint", self.run, path)

    def _write_checkpoints(self, *, keep: bool) -> None:
        step = self.run.step
        header = CheckpointHeader(
            schema_version=CHECKPOINT_SCHEMA,
            stage=self.stage.name,
            stage_step=self.done,
            step=step,
            meter_count=self.stage.meters.count,
            data_digest=self.digest,
            device=self.stage.session.device.type,
            tool_version=__version__,
        )
        if self.log is not None:
            self.log.sync()  # no checkpoint may be ahead of the metrics
        try:
            checkpoint = take_checkpoint(Path("the state"), self.stage, header)
        except NonFiniteError as error:
            message = f"step {step}: {error}; it was not saved, {self._last_good()}"
            raise NonFiniteError(message) from error
        if self.folder is None:
            self.run.checkpoint = checkpoint
            return
        # The last checkpoint is written last: a run killed between the two repeats the steps and writes both.
        kept = [self.folder.kept_checkpoint(step)] if keep else []
        for path in [*kept, self.folder.last_checkpoint]:
            write_checkpoint(checkpoint, path)

    @contextmanager
    def _located(self, number: int) -> Iterator[None]:
        """Add step and last good checkpoint to the message of a NonFiniteError."""
        try:
            yield
        except NonFiniteError as error:
            with self.group.fail_together():
                raise NonFiniteError(
                    f"step {self.offset + number}: {error}; stopped before the update, {self._last_good()}. "
                    "A lower learning rate often helps."
                ) from error

    def _last_good(self) -> str:
        """Return which checkpoint is kept, for an error message."""
        if self.folder is None:
            saved = self.run.checkpoint
            return f"the state after step {saved.header.step} is kept" if saved else "there is no saved state"
        last = self.folder.last_checkpoint
        if not self.group.is_main:  # it may not see the folder
            is_written = self.offset or self._saved_at is not None
            return f"the last good checkpoint ({last}) is kept" if is_written else "there is no checkpoint"
        try:
            exists = last.is_file()
        except OSError:
            exists = False
        if not exists:
            return f"there is no checkpoint ({last})"
        step = "of the stage before" if self._saved_at is None else f"step {self.offset + self._saved_at}"
        return f"the last good checkpoint ({last}, {step}) is kept"
