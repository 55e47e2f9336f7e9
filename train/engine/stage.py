"""What the parts of a run have in common, and what they hand on to each other.

A run is a list of stages. Each takes steps on batches of images, keeps sums of named scalars, and can put
all that its next step depends on into a checkpoint. The loop (loop.py) knows nothing else of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch

from infogan_tool.runtime.errors import DataError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, mixed_seed
from infogan_tool.train.engine.meters import Meters
from infogan_tool.train.engine.optimizer_step import Descent
from infogan_tool.train.engine.profiling import section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup
    from infogan_tool.train.infogan.networks import Networks

__all__ = ["Session", "Stage", "autocast", "use_precision", "whole_batches"]


@dataclass(kw_only=True, slots=True)
class Session:
    """What all stages of a run share."""

    config: TrainConfig
    networks: Networks
    """On the device."""
    images: Tensor
    """``(N, C, H, W)`` uint8, on the device."""
    artifacts: dict[str, Tensor] = field(default_factory=dict)
    """Tensors that one stage leaves for a later one; part of every checkpoint."""
    captures: bool = False
    """Whether steps on this device, a GPU, are captured and replayed."""
    group: ProcessGroup = SINGLE_PROCESS
    """Who shares each batch; all else here is the same in each process."""

    @property
    def device(self) -> torch.device:
        """Where everything lives."""
        return self.images.device

    def float_images(self, index: Tensor) -> Tensor:
        """Return images ``(n, C, H, W)`` float32 in the networks' range."""
        image = self.networks.image
        scale = (image.high - image.low) / 255
        with section("data"):
            return self.images[index].to(torch.float32).mul_(scale).add_(image.low)

    def in_chunks(self, size: int) -> Iterator[Tensor]:
        """Give all images in order, ``size`` at a time."""
        for index in torch.split(torch.arange(len(self.images), device=self.device), size):
            yield self.float_images(index)


class Stage(ABC):
    """One part of a run.

    Args:
        session: What earlier stages left.
    """

    name: ClassVar[str]
    """As shown and as written into checkpoints."""
    draws: ClassVar[bool] = False
    """Whether the generator changes, so that sample sheets are worth writing."""
    shares_batches: ClassVar[bool] = True
    """Whether each process has its rows of every batch."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.group = session.group
        self.batch_size = self.batch_size_of(session.config)
        self.seed = session.config.seed
        self.rng = torch.Generator(session.device).manual_seed(self.seed)
        self.descent = Descent(session.device, self.group)
        self.meters = Meters(self.scalar_names(session.config), session.device)
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
        """Steps in one pass over the images."""
        return whole_batches(len(self.session.images), self.batch_size)

    @abstractmethod
    def step(self, index: int) -> None:
        """Do step number ``index`` and add its scalars to the meters.

        Raises:
            NonFiniteError: A loss or gradient is not finite; nothing was updated by it.
        """

    def scalars(self) -> dict[str, float]:
        """Return the means of the interval so far, and what is only measured when asked.

        Raises:
            NonFiniteError: An update since the last call was not made, on a device that nobody waits for.
        """
        self.descent.check()
        return self.meters.read()

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers by name, for checkpoints."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what else the next step depends on; :meth:`load_tensors` takes it back."""
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave."""
        assert not tensors

    def finish(self) -> None:  # noqa: B027 - most stages have nothing left to do
        """Hand on the stage's result, after its last step."""

    def write_samples(self, path: Path) -> None:
        """Write a sample sheet, in a stage that draws."""
        raise NotImplementedError

    @property
    def shard(self) -> slice:
        """This process's rows of each batch."""
        return self.group.shard(self.batch_size)

    def batch(self, index: int) -> Tensor:
        """Return the numbers of the images of step ``index``; they depend on seed and ``index`` alone."""
        epoch, place = divmod(index, self.steps_per_epoch)
        if epoch != self._order_epoch:
            seed = mixed_seed(f"order {self.seed} {epoch}")
            rng = torch.Generator(self.session.device).manual_seed(seed)
            count = len(self.session.images)
            self._order = torch.randperm(count, generator=rng, device=self.session.device)
            self._order_epoch = epoch
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of forward passes in a config's precision: of half the width for ``bf16``."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def use_precision(precision: str) -> None:
    """Have GPUs compute ``fp32`` as such, and convolutions the same each time.

    Unless told, torch's convolutions are in TF32, and some of their gradients are sums in whatever order.
    """
    torch.backends.cudnn.deterministic = True
    # The older of torch's two ways: torch.export reads them in this one.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def whole_batches(count: int, batch_size: int) -> int:
    """Return the number of whole batches in ``count`` images; a last partial one is left out.

    Raises:
        DataError: There is not one.
    """
    steps = count // batch_size
    if not steps:
        raise DataError(
            f"{count} images are fewer than one batch of {batch_size}: "
            f"use --batch-size {count} or less, or more images"
        )
    return steps
