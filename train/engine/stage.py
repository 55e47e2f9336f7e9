"""The stages of a run: what they have in common, and what they pass on to each other.

A run is a list of stages. Each takes steps on batches of images, keeps sums of named scalars, and puts all
that its next step depends on into a checkpoint. The loop (train/run/loop.py) uses nothing else of a stage.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

import torch
from torch import nn

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.data.source import read_ahead
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, mixed_seed
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.engine.optimizer_step import OptimizerStep
from infogan_tool.train.engine.profiling import section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.clustering import ContrastiveConfig, RefinementConfig
    from infogan_tool.train.config.schema import ScheduleConfig, TrainConfig
    from infogan_tool.train.data.source import ImageSource
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Networks


_MAX_EPOCHS: Final = 500
"""Most passes over the data of a length in thousands of images: of fewer than 2,000 images, as many more
passes as preset ``mnist`` would make only take time."""


@dataclass(kw_only=True, slots=True)
class Session:
    """State that all stages of a run share."""

    config: TrainConfig
    networks: Networks
    """On the device."""
    images: ImageSource
    """The training images; what they are indexed to is on the device."""
    artifacts: dict[str, Tensor] = field(default_factory=dict)
    """Results of a stage that a later one needs; part of every checkpoint."""
    cuda_graphs: bool = False
    """Whether steps on this device, a GPU, are captured as CUDA graphs."""
    group: ProcessGroup = SINGLE_PROCESS
    """The processes that share each batch; all other fields are the same in each of them."""

    @property
    def device(self) -> torch.device:
        """Device of images and networks."""
        return self.images.device

    def float_images(self, index: Tensor) -> Tensor:
        """Return images ``(n, C, H, W)`` float32 in the networks' range."""
        image = self.networks.image
        scale = (image.high - image.low) / 255
        with section("data"):
            return self.images[index].to(torch.float32).mul_(scale).add_(image.low)

    def image_chunks(self, size: int, index: Tensor | None = None) -> Iterator[Tensor]:
        """Yield images, ``size`` at a time, as :meth:`float_images` does: all in order, or those given."""
        if index is None:
            index = torch.arange(len(self.images), device=self.device)
        read_ahead(self.images, (part.tolist() for part in torch.split(index, size)))
        for part in torch.split(index, size):
            yield self.float_images(part)


class Stage(ABC):
    """One part of a run.

    Args:
        session: What the stages share, with the results of earlier ones.
    """

    name: ClassVar[str]
    """In progress, metrics and checkpoints."""
    trains_generator: ClassVar[bool] = False
    """Whether the generator changes, so that sample sheets are written."""
    shards_batches: ClassVar[bool] = True
    """Whether each process computes its shard of every batch."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.group = session.group
        self.batch_size = self.batch_size_of(session.config)
        self.seed = session.config.seed
        self.rng = torch.Generator(session.device).manual_seed(self.seed)
        self.optimizer_step = OptimizerStep(session.device, self.group)
        self.meters = Meters(self.scalar_names(session.config), session.device)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        """By name; part of every checkpoint, like ``extra_state``."""
        self.extra_state = nn.Module()
        """A module of the stage's own, on which its next step depends."""
        self._order, self._order_epoch = torch.empty(0, dtype=torch.long), -1

    @classmethod
    @abstractmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the number of steps on ``count`` images."""

    @classmethod
    @abstractmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the number of images per step, of all processes together."""

    @classmethod
    @abstractmethod
    def scalar_names(cls, config: TrainConfig) -> list[str]:
        """Return the names of the scalars that each step adds to the meters."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the images that batches are drawn from."""
        return whole_batches(self._count, self.batch_size)

    @property
    def sample(self) -> Tensor | None:
        """Indices of the images that batches are drawn from; None: all."""
        return None

    @property
    def _count(self) -> int:
        return len(self.session.images) if self.sample is None else len(self.sample)

    def begin(self) -> None:  # noqa: B027 - most stages have nothing to do
        """Change the networks before the first step; not done again when a stage is resumed."""

    @abstractmethod
    def step(self, index: int) -> None:
        """Do step number ``index`` and add its scalars to the meters.

        Raises:
            NonFiniteError: A loss or gradient is not finite; nothing was updated by it.
        """

    def scalars(self) -> dict[str, float]:
        """Return the means of the interval so far, and scalars that are computed for the log only.

        Raises:
            NonFiniteError: On a GPU: an optimizer step since the last call was skipped.
        """
        self.optimizer_step.check()
        return self.meters.read()

    def finish(self) -> None:  # noqa: B027 - most stages have nothing left to do
        """Pass on the stage's result, after its last step."""

    def write_samples(self, path: Path, codes: Path) -> None:
        """Write the sheets of fixed latents, in a stage that trains the generator."""
        raise NotImplementedError

    @property
    def shard(self) -> slice:
        """This process's shard of each batch."""
        return self.group.shard(self.batch_size)

    def batch(self, index: int) -> Tensor:
        """Return the indices of the images of step ``index``; they depend on seed and ``index`` alone."""
        epoch, position = divmod(index, self.steps_per_epoch)
        if epoch != self._order_epoch:
            self._order, self._order_epoch = self._order_of(epoch), epoch
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]

    def read_ahead(self, start: int, stop: int) -> None:
        """Let the images of steps ``start`` to ``stop`` be read in advance, where they are not in memory."""
        read_ahead(self.session.images, self._shards(start, stop))

    def _shards(self, start: int, stop: int) -> Iterator[list[int]]:
        order: list[int] = []
        for index in range(start, stop):
            epoch, position = divmod(index, self.steps_per_epoch)
            if not order or not position:
                order = self._order_of(epoch).tolist()
            yield order[position * self.batch_size : (position + 1) * self.batch_size][self.shard]

    def _order_of(self, epoch: int) -> Tensor:
        rng = torch.Generator(self.session.device).manual_seed(mixed_seed(f"order {self.seed} {epoch}"))
        order = torch.randperm(self._count, generator=rng, device=self.session.device)
        return order if self.sample is None else self.sample[order]

    def autocast(self) -> torch.autocast:
        """Return the context of forward passes in the config's precision."""
        return autocast(self.session.device, self.session.config.precision)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of forward passes: bfloat16 for ``bf16``, else no change."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def use_precision(precision: str) -> None:
    """Set torch's flags: TF32 on GPUs for ``tf32`` only, and deterministic convolutions.

    By default torch's convolutions use TF32, and some of their gradients have sums of no fixed order.
    """
    torch.backends.cudnn.deterministic = True
    # The older one of torch's two interfaces, because torch.export reads it.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def count_steps(length: ContrastiveConfig | RefinementConfig | ScheduleConfig, count: int, size: int) -> int:
    """Return the length of a stage in steps, at least 1.

    Args:
        length: Table of the config with ``kimg``, ``epochs`` or ``steps``.
        count: Images of the data set.
        size: Images of a batch.

    Raises:
        DataError: There are fewer images than one batch.
    """
    per_epoch = whole_batches(count, size)
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return max(round(length.epochs * per_epoch), 1)
    assert length.kimg is not None
    return min(max(round(length.kimg * 1000 / size), 1), _MAX_EPOCHS * per_epoch)


def whole_batches(count: int, batch_size: int) -> int:
    """Return the number of whole batches in ``count`` images; a last partial one is left out.

    Raises:
        DataError: There are fewer images than one batch.
    """
    steps = count // batch_size
    if not steps:
        smaller = f"--batch-size {count} or less, or " if count > 1 else ""
        raise DataError(
            f"{count} image{'' if count == 1 else 's'} are fewer than one batch of {batch_size}: "
            f"use {smaller}more images"
        )
    return steps
