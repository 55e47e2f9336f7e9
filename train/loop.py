"""The training loop, top to bottom."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DataError, NonFiniteError, RunError
from infogan_tool.train.checkpoint import CHECKPOINT_SCHEMA, Checkpoint, CheckpointHeader, write_checkpoint
from infogan_tool.train.latents import sample_latents
from infogan_tool.train.meters import Meters
from infogan_tool.train.monitor import MetricsLog, ProgressDisplay
from infogan_tool.train.networks import build_networks
from infogan_tool.train.sheets import write_sample_sheet
from infogan_tool.train.updates import Updates, metric_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from torch import Tensor

    from infogan_tool.runtime.contract import ImageSpec
    from infogan_tool.train.config import TrainConfig
    from infogan_tool.train.run import RunFolder

__all__ = ["TrainOutcome", "data_digest", "steps_in_epoch", "total_steps", "train"]


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
    """Return a digest of pictures ``(N, C, H, W)`` uint8: shape and every pixel."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(images.contiguous().numpy().data)
    return digest.hexdigest()


def steps_in_epoch(config: TrainConfig, count: int) -> int:
    """Return the number of whole batches in ``count`` pictures.

    Raises:
        DataError: There is not one.
    """
    steps = count // config.schedule.batch_size
    if not steps:
        raise DataError(
            f"{count} pictures are fewer than one batch of {config.schedule.batch_size}: "
            f"use --batch-size {count} or less, or more pictures"
        )
    return steps


def total_steps(config: TrainConfig, count: int) -> int:
    """Return the number of steps that the config asks for on ``count`` pictures."""
    return config.schedule.steps or config.schedule.epochs * steps_in_epoch(config, count)


def train(  # noqa: C901, PLR0915 - one loop, read from top to bottom
    config: TrainConfig,
    images: Tensor,
    run: RunFolder,
    *,
    device: torch.device,
    console: Console,
    resume: Checkpoint | None = None,
    tensorboard: bool = False,
) -> TrainOutcome:
    """Train to the end of the config's schedule, or until a signal.

    Args:
        config: Resolved; its data size and channels are those of ``images``.
        images: ``(N, C, H, W)`` uint8. Labels have no way in.
        run: Where metrics, samples and checkpoints go.
        device: Where networks, pictures and random numbers live.
        console: Where progress is shown (stderr).
        resume: Checkpoint to go on from; None: from the start.
        tensorboard: Whether to write the scalars for TensorBoard too.

    Returns:
        How it ended.

    Raises:
        DataError: There are fewer pictures than one batch.
        NonFiniteError: A loss or gradient is not finite; the last good checkpoint stays.
        RunError: The checkpoint is of other networks or data.
    """
    # Build everything from the seed.
    schedule, spec = config.schedule, config.latent
    per_epoch, last_step = steps_in_epoch(config, len(images)), total_steps(config, len(images))
    digest = data_digest(images)
    torch.manual_seed(config.seed)
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1]).to(device)
    rng = torch.Generator(device).manual_seed(config.seed)
    updates = Updates(networks, config, rng)
    meters = Meters(metric_names(spec), device)
    pictures = images.to(device)

    # Go on where a checkpoint left off.
    step = 0
    if resume is not None:
        step = _restore(resume, updates, rng, meters, digest=digest, console=console)
        run.cut_metrics(step, schedule.log_every)
    else:
        write_sample_sheet(run.sample_sheet(0), networks, images, seed=config.seed)

    def save(*, keep: bool) -> None:
        header = CheckpointHeader(
            schema_version=CHECKPOINT_SCHEMA,
            step=step,
            meter_count=meters.count,
            data_digest=digest,
            device=device.type,
            tool_version=__version__,
        )
        for path in [run.last_checkpoint, *([run.kept_checkpoint(step)] if keep else [])]:
            write_checkpoint(path, updates, rng, meters, header)

    # Train: a step is one D update and one G and Q update on one batch.
    display = ProgressDisplay(
        console, total_steps=last_step, steps_per_epoch=per_epoch, log_every=schedule.log_every
    )
    with (
        MetricsLog(run.metrics, run.path / "tensorboard" if tensorboard else None) as log,
        display,
        _stop_signals() as stop,
    ):
        clock = _Clock(step, schedule.batch_size)
        saved_step = step if resume is not None else None
        order, order_epoch = torch.empty(0), -1
        while step < last_step and not stop.is_set():
            epoch, place = divmod(step, per_epoch)
            if epoch != order_epoch:
                order, order_epoch = _epoch_order(config.seed, epoch, len(images), device), epoch
            batch = order[place * schedule.batch_size : (place + 1) * schedule.batch_size]
            latent = sample_latents(spec, schedule.batch_size, rng)
            try:
                meters.add(updates.step(_to_range(pictures[batch], networks.image), latent))
            except NonFiniteError as error:
                raise NonFiniteError(_explain_stop(error, step, run, saved_step)) from error
            step += 1

            # Once per interval and once per epoch: numbers, pictures, checkpoints.
            if step % schedule.log_every == 0 or step == last_step:
                record = {
                    "step": step,
                    "Progress/epoch": step / per_epoch,
                    "Progress/kimg": step * schedule.batch_size / 1000,
                    **meters.read(),
                    "Scores/fake_after_g": float(updates.fake_score(latent)),
                    **clock.read(step),
                }
                log.write(record)
                display.show(record)
                if step % schedule.log_every == 0:  # an interval that the end cuts may go on in a resumed run
                    meters.reset()
            display.advance(step)
            done_epochs, in_epoch = divmod(step, per_epoch)
            at_end = step == last_step
            if at_end or (not in_epoch and done_epochs % schedule.sample_every == 0):
                write_sample_sheet(run.sample_sheet(step), networks, images, seed=config.seed)
            if at_end or (not in_epoch and done_epochs % schedule.checkpoint_every == 0):
                save(keep=not in_epoch and done_epochs % schedule.keep_every == 0)
                saved_step = step
        if saved_step != step:
            save(keep=False)
    return TrainOutcome(step=step, total_steps=last_step, interrupted=step < last_step)


def _restore(
    resume: Checkpoint,
    updates: Updates,
    rng: torch.Generator,
    meters: Meters,
    *,
    digest: str,
    console: Console,
) -> int:
    if resume.header.data_digest != digest:
        raise RunError(f"{resume.path} was trained on other pictures: give the same --data as at the start")
    if not resume.restore(updates, rng, meters):
        rng.manual_seed(updates.seed + resume.header.step)
        console.print(
            f"the checkpoint was written on {resume.header.device}: its random states do not fit "
            f"{rng.device.type}, so the run goes on with new ones",
            highlight=False,
        )
    return resume.header.step


def _epoch_order(seed: int, epoch: int, count: int, device: torch.device) -> Tensor:
    # A function of seed and epoch alone, so a resumed run needs no record of it.
    mixed = hashlib.sha256(f"order {seed} {epoch}".encode()).digest()[:7]
    rng = torch.Generator(device).manual_seed(int.from_bytes(mixed))
    return torch.randperm(count, generator=rng, device=device)


def _to_range(pictures: Tensor, image: ImageSpec) -> Tensor:
    return pictures.to(torch.float32).mul_((image.high - image.low) / 255).add_(image.low)


class _Clock:
    """Speed since the last reading."""

    def __init__(self, step: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._step, self._time = step, time.perf_counter()

    def read(self, step: int) -> dict[str, float]:
        now = time.perf_counter()
        seconds = (now - self._time) / max(step - self._step, 1)
        self._step, self._time = step, now
        return {"Timing/sec_per_step": seconds, "Timing/images_per_sec": self._batch_size / seconds}


def _explain_stop(error: NonFiniteError, step: int, run: RunFolder, saved_step: int | None) -> str:
    if saved_step is None:
        kept = "there is no checkpoint yet"
    else:
        kept = f"the last good checkpoint ({run.last_checkpoint}, step {saved_step}) stays"
    return f"step {step + 1}: {error}; stopped before the update, {kept}. A lower learning rate often helps."


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into an event: the step in hand ends and the state is saved."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request_stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        if stop.is_set():
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        stop.set()

    before = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
