"""The training loop, top to bottom: :func:`train` runs the stages, :class:`_StageLoop` the steps of one."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DataError, InfoganError, NonFiniteError, PeerLostError, RunError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup, mixed_seed
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.engine.cpu_memory import keep_freed_memory
from infogan_tool.train.engine.memory_format import to_memory_format
from infogan_tool.train.engine.profiling import profile_steps, section
from infogan_tool.train.engine.stage import Session, Stage, use_precision
from infogan_tool.train.infogan.architecture_registry import check_forward
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import CHECKPOINT_SCHEMA, CheckpointHeader, write_checkpoint
from infogan_tool.train.run.monitor import MetricsLog, ProgressDisplay, SpeedClock
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.resume import restore_session, restore_stage
from infogan_tool.train.run.signals import stop_signals
from infogan_tool.train.run.stages import steps_by_stage

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.console import Console
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.run.checkpoint import Checkpoint
    from infogan_tool.train.run.folder import RunFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOutcome:
    """How a training ended."""

    step: int
    """Steps completed in all stages."""
    total_steps: int
    """Steps of the config's schedule."""
    interrupted: bool
    """Whether a signal stopped it early; its state is saved."""


def data_digest(images: Tensor) -> str:
    """Return a digest of images ``(N, C, H, W)`` uint8: shape and every pixel."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(images.contiguous().numpy().data)
    return digest.hexdigest()


def train(
    config: TrainConfig,
    images: Tensor,
    run: RunFolder,
    *,
    device: torch.device,
    console: Console,
    resume: Checkpoint | None = None,
    options: RunOptions | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> TrainOutcome:
    """Train to the end of the config's schedule, or until a signal.

    Args:
        config: Resolved: its data size and channels are those of ``images``.
        images: ``(N, C, H, W)`` uint8. There are no labels.
        run: Folder of metrics, samples and checkpoints.
        device: Device of networks, images and random numbers.
        console: For progress, on stderr.
        resume: Checkpoint to resume from; None: from the start.
        options: What is not part of the config.
        group: The processes. Each passes the same config, images and checkpoint; the main one writes.

    Raises:
        DataError: There are fewer images than one batch.
        NonFiniteError: A loss, gradient or weight is not finite; the last good checkpoint is kept.
        RunError: The checkpoint is of other networks or images, or the run folder cannot be written any more.
        PeerLostError: Another process ended.
    """
    # Compare the images of all processes, and count the steps.
    options = options or RunOptions()
    digest = data_digest(images)
    main_digest = group.broadcast_json(digest)
    with group.fail_together():
        if digest != main_digest:
            raise DataError("not all processes have the same images: every machine needs the same --data")
        plan = steps_by_stage(config, len(images))
        last_step = sum(steps for _, steps in plan)

    # Build networks and session from the seed.
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(config.seed)
    use_precision(config.precision)
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    convert_sync_batchnorm(networks, group)
    networks = to_memory_format(networks.to(device))
    check_forward(config, networks.image, networks.generator, networks.trunk)
    session = Session(
        config=config,
        networks=networks,
        images=images.to(device),
        # A captured step neither waits for other processes nor can its parts be profiled.
        cuda_graphs=device.type == "cuda" and group.is_single and options.capture and not options.profile,
        group=group,
    )
    if resume is not None:
        with group.fail_together():
            restore_session(session, resume, plan, run, digest)

    # Train stage by stage.
    step, tensorboard = 0, run.path / "tensorboard" if options.tensorboard else None
    with (
        MetricsLog(run.metrics, tensorboard) if group.is_main else nullcontext() as log,
        ProgressDisplay(console, num_stages=len(plan), total_steps=last_step) as display,
        stop_signals() as stop,
    ):
        for stage_class, steps in plan:
            if resume is not None and resume.header.stage != stage_class.name:  # an earlier, finished stage
                step += steps
                display.skip_stage()
                continue
            for tensor in (*session.networks.state_dict().values(), *session.artifacts.values()):
                group.broadcast(tensor)  # machines may round differently: each stage starts with equal values
            loop = _StageLoop(
                stage_class(session), steps, step, run=run, digest=digest, log=log, display=display
            )
            with loop.profiled(console) if options.profile and group.is_main else nullcontext():
                loop.run_steps(stop, console, resume)
            step += loop.done
            resume = None
            if loop.stopped:
                break
            loop.stage.finish()
    return TrainOutcome(step=step, total_steps=last_step, interrupted=step < last_step)


class _StageLoop:
    """The steps of one stage, and what is written between them.

    Args:
        stage: To run.
        steps: Number of its steps.
        offset: Steps of the stages before it.
        run: Run folder.
        digest: Digest of the images.
        log: Metrics log of the main process; None in others.
        display: Progress display.
    """

    def __init__(
        self,
        stage: Stage,
        steps: int,
        offset: int,
        *,
        run: RunFolder,
        digest: str,
        log: MetricsLog | None,
        display: ProgressDisplay,
    ) -> None:
        self.group, self.schedule = stage.session.group, stage.session.config.schedule
        self.stage, self.steps, self.offset = stage, steps, offset
        self.run, self.digest, self.log, self.display = run, digest, log, display
        self.done = 0
        self.stopped = False
        self._saved_at: int | None = None
        self._profile: torch.profiler.profile | None = None

    @contextmanager
    def profiled(self, console: Console) -> Iterator[None]:
        """Profile some of the steps, and print and write the result."""
        folder, device = self.run.path / "profile", self.stage.session.device
        with profile_steps(folder, self.stage.name, device, console) as self._profile:
            yield

    def run_steps(self, stop: threading.Event, console: Console, resume: Checkpoint | None) -> None:
        """Run the steps to the stage's end or until a signal.

        Raises:
            NonFiniteError: As in :func:`train`.
            RunError: A file cannot be written: the disk is full, the folder was removed or is read-only.
        """
        if resume is not None:
            with self.group.fail_together():
                self._restore(resume, console)
        self.display.start_stage(self.stage.name, self.steps)
        try:
            if resume is None:
                self._write_samples()
            self._run_steps(stop)
            self.stopped = self.group.any(stop.is_set())
        except PeerLostError as error:
            self.group.ignore_sigterm()
            raise PeerLostError(f"{error}; {self._last_good()}: resume with --resume {self.run}") from error
        except InfoganError:
            raise
        except OSError as error:
            file = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
            reason = error.strerror or " ".join(str(error).split())
            step = self.offset + self.done
            raise RunError(f"{file}{reason}; stopped after step {step}, {self._last_good()}") from error

    def _restore(self, resume: Checkpoint, console: Console) -> None:
        self.done = self._saved_at = resume.header.stage_step
        if not restore_stage(self.stage, resume):
            console.print(
                f"the checkpoint was written on {resume.header.device}: its random states do not fit "
                f"{self.stage.session.device.type}, so the run continues with new ones",
                highlight=False,
            )

    def _run_steps(self, stop: threading.Event) -> None:
        stage, schedule = self.stage, self.schedule
        clock = SpeedClock(self.done, stage.batch_size)
        while self.done < self.steps and not self.group.any_at(self.done, stop.is_set()):
            self._seed_dropout()
            with self._located(self.done + 1):
                stage.step(self.done)
            self.done += 1
            at_end = self.done == self.steps
            if at_end or self.done % schedule.log_every == 0:
                with section("metrics"):
                    self._log_metrics(clock)
            self.display.advance(self.done)
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
            step = self.offset + self.done
            torch.manual_seed(mixed_seed(f"dropout {self.stage.seed} {step} {self.group.rank}"))

    def _write_samples(self) -> None:
        with self.group.fail_together():
            if self.stage.trains_generator and self.group.is_main:
                self.stage.write_samples(self.run.sample_sheet(self.offset + self.done))

    def _log_metrics(self, clock: SpeedClock) -> None:
        with self._located(self.done):
            scalars = self.stage.scalars()
        record: dict[str, Any] = {
            "step": self.offset + self.done,
            "stage": self.stage.name,
            "stage_step": self.done,
            "Progress/epoch": self.done / self.stage.steps_per_epoch,
            "Progress/kimg": self.done * self.stage.batch_size / 1000,
            **scalars,
            **clock.read(self.done),
        }
        with self.group.fail_together():
            if self.log is not None:
                self.log.write(record)
                self.display.show(record)
        if self.done % self.schedule.log_every == 0:  # the stage's last interval may be longer when resumed
            self.stage.meters.reset()

    def _save(self, *, keep: bool) -> None:
        with self._located(self.done):
            self.stage.optimizer_step.check()
        with self.group.fail_together():
            if self.log is not None:
                self._write_checkpoints(self.log, keep=keep)
        self._saved_at = self.done

    def _write_checkpoints(self, log: MetricsLog, *, keep: bool) -> None:
        step = self.offset + self.done
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
        log.sync()  # no checkpoint may be ahead of the metrics
        # The last checkpoint is written last: a run killed between the two repeats the steps and writes both.
        for path in [*([self.run.kept_checkpoint(step)] if keep else []), self.run.last_checkpoint]:
            try:
                write_checkpoint(path, self.stage, header)
            except NonFiniteError as error:
                message = f"step {step}: {error}; it was not saved, {self._last_good()}"
                raise NonFiniteError(message) from error

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
        last = self.run.last_checkpoint
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
