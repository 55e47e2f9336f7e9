"""The training loop, top to bottom."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DataError, InfoganError, NonFiniteError, PeerLostError, RunError
from infogan_tool.train.clustering.contrastive import ContrastiveStage
from infogan_tool.train.clustering.grouping import GroupingStage
from infogan_tool.train.clustering.neighbours import NeighboursStage
from infogan_tool.train.clustering.refinement import RefinementStage
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup, mixed_seed
from infogan_tool.train.distributed.sync_batchnorm import convert_sync_batchnorm
from infogan_tool.train.engine.memory_format import to_memory_format
from infogan_tool.train.engine.profiling import profile_steps, section
from infogan_tool.train.engine.stage import Session, Stage, use_precision
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.vae import VariationalStage
from infogan_tool.train.run.checkpoint import (
    CHECKPOINT_SCHEMA,
    Checkpoint,
    CheckpointHeader,
    load_session,
    write_checkpoint,
)
from infogan_tool.train.run.monitor import MetricsLog, ProgressDisplay, SpeedClock
from infogan_tool.train.run.options import RunOptions
from infogan_tool.train.run.signals import stop_signals

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.console import Console
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.run.folder import RunFolder

__all__ = ["TrainOutcome", "data_digest", "stages_of", "total_steps", "train"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOutcome:
    """How a training ended."""

    step: int
    """Steps done in all."""
    total_steps: int
    """Steps that the config asks for."""
    interrupted: bool
    """Whether a signal ended it early; the state is saved."""


def data_digest(images: Tensor) -> str:
    """Return a digest of images ``(N, C, H, W)`` uint8: shape and every pixel."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(images.contiguous().numpy().data)
    return digest.hexdigest()


def stages_of(config: TrainConfig) -> list[type[Stage]]:
    """Return the stages of a run, in order."""
    stages: list[type[Stage]] = []
    if config.uses_clustering:
        stages += [ContrastiveStage, NeighboursStage, GroupingStage, RefinementStage]
    stages.append(VariationalStage if config.is_variational else AdversarialStage)
    if config.consolidation is not None:
        stages.append(ConsolidationStage)
    return stages


def total_steps(config: TrainConfig, count: int) -> int:
    """Return the number of steps of all stages on ``count`` images.

    Raises:
        DataError: There are fewer images than one batch.
    """
    return sum(stage.count_steps(config, count) for stage in stages_of(config))


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
        config: Resolved; its data size and channels are those of ``images``.
        images: ``(N, C, H, W)`` uint8. Labels have no way in.
        run: Where metrics, samples and checkpoints go.
        device: Where networks, images and random numbers live.
        console: Where progress is shown (stderr).
        resume: Checkpoint to go on from; None: from the start.
        options: What is not part of the config.
        group: Who trains; each gives the same config, images and checkpoint. One writes.

    Returns:
        How it ended.

    Raises:
        DataError: There are fewer images than one batch.
        NonFiniteError: A loss, gradient or weight is not finite; the last good checkpoint stays.
        RunError: The checkpoint is of other networks or data, or the run folder cannot be written any more.
        PeerLostError: Another process of the group ended.
    """
    # Build everything from the seed.
    options = options or RunOptions()
    digest = data_digest(images)
    theirs = group.broadcast_json(digest)
    with group.fail_together():
        if digest != theirs:
            raise DataError("not all processes have the same images: every machine needs the same --data")
        plan = [(stage, stage.count_steps(config, len(images))) for stage in stages_of(config)]
    torch.manual_seed(config.seed)
    use_precision(config.precision)
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    convert_sync_batchnorm(networks, group)
    # A captured step does not wait for other processes; nor can its parts be looked at.
    cuda_graphs = device.type == "cuda" and group.is_single and options.capture and not options.profile
    networks = to_memory_format(networks.to(device))
    session = Session(
        config=config, networks=networks, images=images.to(device), cuda_graphs=cuda_graphs, group=group
    )

    # Go on where a checkpoint left off.
    resumed_stage = None
    if resume is not None:
        with group.fail_together():
            if resume.header.data_digest != digest:
                raise RunError(
                    f"{resume.path} is of a run on other images: give the same --data as at the start"
                )
            resumed_stage = resume.header.stage
            ends_at = _steps_of_resumed(resume, plan)
            load_session(session, resume)
            if group.is_main:
                run.write_config(config)  # its schedule may be longer now; a refused one has changed nothing
                run.cut_metrics(resume.header.step, _interval_that_goes_on(config, resume, ends_at))

    # Train, stage after stage.
    last_step, before = sum(steps for _, steps in plan), 0
    with (
        _metrics_log(run, tensorboard=options.tensorboard) if group.is_main else nullcontext() as log,
        ProgressDisplay(console, num_stages=len(plan), total_steps=last_step) as display,
        stop_signals() as stop,
    ):
        for make, steps in plan:
            if resumed_stage not in (None, make.name):
                before += steps
                display.pass_over()
                continue
            resumes = resume if resumed_stage else None
            resumed_stage = None
            for tensor in (*session.networks.state_dict().values(), *session.artifacts.values()):
                group.broadcast(tensor)  # machines that round differently begin each stage alike
            part = _StagePart(make(session), steps, before, run=run, digest=digest, log=log, display=display)
            with part.profiled(console) if options.profile and group.is_main else nullcontext():
                before += part.run_steps(stop, console, resumes)
            if part.stopped:
                break
            part.stage.finish()
    return TrainOutcome(step=before, total_steps=last_step, interrupted=before < last_step)


def _metrics_log(run: RunFolder, *, tensorboard: bool) -> MetricsLog:
    return MetricsLog(run.metrics, run.path / "tensorboard" if tensorboard else None)


def _steps_of_resumed(resume: Checkpoint, plan: list[tuple[type[Stage], int]]) -> int:
    """Return the steps of the stage that a checkpoint was written in, once its place in the plan is right."""
    header, before = resume.header, 0
    for stage, steps in plan:
        if stage.name == header.stage:
            if before != header.step - header.stage_step:
                raise RunError(
                    f"{resume.path} was written in stage {header.stage}: the earlier stages cannot be made "
                    "longer or shorter any more; train anew for that"
                )
            return steps
        before += steps
    raise RunError(f"{resume.path} was written in a stage that this config does not have: {header.stage}")


def _interval_that_goes_on(config: TrainConfig, resume: Checkpoint, ends_at: int) -> tuple[str, int] | None:
    """Return stage and step of a metrics line that the end of an earlier, shorter schedule wrote too soon."""
    header = resume.header
    cut_short = header.stage_step < ends_at and header.stage_step % config.schedule.log_every
    return (header.stage, header.stage_step) if cut_short else None


class _StagePart:
    """One stage inside the loop: its steps, and what is written between them."""

    def __init__(
        self,
        stage: Stage,
        steps: int,
        before: int,
        *,
        run: RunFolder,
        digest: str,
        log: MetricsLog | None,
        display: ProgressDisplay,
    ) -> None:
        self.group = stage.session.group
        self.stage, self.steps, self.before = stage, steps, before
        self.run, self.digest, self.log, self.display = run, digest, log, display
        self.schedule = stage.session.config.schedule
        self.done = 0
        self.stopped = False
        self.saved_at: int | None = None
        self._profile: torch.profiler.profile | None = None

    @contextmanager
    def profiled(self, console: Console) -> Iterator[None]:
        """Look at some of the steps, and show and write where their time went."""
        stage = self.stage
        folder = self.run.path / "profile"
        with profile_steps(folder, stage.name, stage.session.device, console) as self._profile:
            yield

    def run_steps(self, stop: threading.Event, console: Console, resume: Checkpoint | None) -> int:
        """Take the stage's steps until its end or a signal, and return how many are done.

        Raises:
            NonFiniteError: As in :func:`train`.
            RunError: Something cannot be written: the disk is full, the folder gone or read-only.
        """
        if resume is not None:
            with self.group.fail_together():
                self._restore(resume, console)
        self.display.begin(self.stage.name, self.steps, self.stage.steps_per_epoch)
        try:
            self._run_steps(stop, fresh=resume is None)
            self.stopped = self.group.any(stop.is_set())
        except PeerLostError as error:
            self.group.ignore_sigterm()
            raise PeerLostError(f"{error}; {self._kept()}: go on with --resume {self.run}") from error
        except InfoganError:
            raise
        except OSError as error:
            raise RunError(self._explain_unwritten(error)) from error
        return self.done

    def _run_steps(self, stop: threading.Event, *, fresh: bool) -> None:
        stage = self.stage
        if fresh:
            self._draw()
        clock = SpeedClock(self.done, stage.batch_size)
        while self.done < self.steps and not self.group.any_at(self.done, stop.is_set()):
            self._seed_dropout()
            with self._explained(self.done + 1):
                stage.step(self.done)
            self.done += 1
            at_end = self.done == self.steps
            if at_end or self.done % self.schedule.log_every == 0:
                with section("metrics"):
                    self._report(clock)
            self.display.advance(self.done)
            epochs, within = divmod(self.done, stage.steps_per_epoch)
            if at_end or (not within and epochs % self.schedule.sample_every == 0):
                with section("sheets"):
                    self._draw()
            if at_end or (not within and epochs % self.schedule.checkpoint_every == 0):
                with section("checkpoints"):
                    due = not within and epochs % self.schedule.keep_every == 0
                    self._save(keep=stage.trains_generator and due)
            if self._profile is not None:
                self._profile.step()
        if self.saved_at != self.done:
            self._save(keep=False)

    def _draw(self) -> None:
        with self.group.fail_together():
            if self.stage.trains_generator and self.group.is_main:
                self.stage.write_samples(self.run.sample_sheet(self.before + self.done))

    def _seed_dropout(self) -> None:
        # The processes drop of their own rows. What depends on seed, step and process alone needs no record.
        if not self.group.is_single and self.stage.session.config.networks.dropout:
            step = self.before + self.done
            torch.manual_seed(mixed_seed(f"dropout {self.stage.seed} {step} {self.group.rank}"))

    def _report(self, clock: SpeedClock) -> None:
        with self._explained(self.done):
            scalars = self.stage.scalars()
        record: dict[str, Any] = {
            "step": self.before + self.done,
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
        if self.done % self.schedule.log_every == 0:  # an interval cut by the end may go on in a resumed run
            self.stage.meters.reset()

    def _save(self, *, keep: bool) -> None:
        with self._explained(self.done):
            self.stage.optimizer_step.check()
        with self.group.fail_together():
            if self.log is not None:
                self._write_checkpoints(self.log, keep=keep)
        self.saved_at = self.done

    def _write_checkpoints(self, log: MetricsLog, *, keep: bool) -> None:
        step = self.before + self.done
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
        log.sync()  # no checkpoint is ahead of the metrics
        # The last one last: a run killed between the two does the steps again, and writes both.
        for path in [*([self.run.kept_checkpoint(step)] if keep else []), self.run.last_checkpoint]:
            try:
                write_checkpoint(path, self.stage, header)
            except NonFiniteError as error:
                raise NonFiniteError(f"step {step}: {error}; it was not saved, {self._kept()}") from error

    def _restore(self, resume: Checkpoint, console: Console) -> None:
        self.done = self.saved_at = resume.header.stage_step
        if not resume.restore(self.stage):
            self.stage.rng.manual_seed(self.stage.session.config.seed + resume.header.step)
            console.print(
                f"the checkpoint was written on {resume.header.device}: its random states do not fit "
                f"{self.stage.session.device.type}, so the run goes on with new ones",
                highlight=False,
            )

    @contextmanager
    def _explained(self, number: int) -> Iterator[None]:
        try:
            yield
        except NonFiniteError as error:
            with self.group.fail_together():
                raise NonFiniteError(
                    f"step {self.before + number}: {error}; stopped before the update, {self._kept()}. "
                    "A lower learning rate often helps."
                ) from error

    def _explain_unwritten(self, error: OSError) -> str:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        reason = error.strerror or " ".join(str(error).split())
        return f"{where}{reason}; stopped after step {self.before + self.done}, {self._kept()}"

    def _kept(self) -> str:
        """Return what there is to go on from."""
        last = self.run.last_checkpoint
        if not self.group.is_main:  # who may not see the folder
            written = self.before or self.saved_at is not None
            return f"the last good checkpoint ({last}) stays" if written else "there is no checkpoint"
        try:
            there = last.is_file()
        except OSError:
            there = False
        if not there:
            return f"there is no checkpoint ({last})"
        if self.saved_at is None:
            return f"the last good checkpoint ({last}), of the stage before, stays"
        return f"the last good checkpoint ({last}, step {self.before + self.saved_at}) stays"
