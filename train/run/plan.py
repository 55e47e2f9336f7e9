"""Plan a training: :func:`plan_training` checks what it will do before anything is written."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool import __version__
from infogan_tool.runtime.errors import DataError, UsageError
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.data.opening import open_data, source_name
from infogan_tool.train.data.source import TrainingData, data_digest
from infogan_tool.train.data.torchvision_sets import TORCHVISION_NAMES
from infogan_tool.train.distributed.device import fast_precision, select_device
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.engine.stage import whole_batches
from infogan_tool.train.infogan.axes import first_layer
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.schemes import check_names, check_updates
from infogan_tool.train.run.stages import planned_stages, steps_by_stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data import ImageSet
    from infogan_tool.train.data.given import Images
    from infogan_tool.train.engine.stage import Stage

    Data = str | Path | npt.NDArray[Any] | Tensor | Images | ImageSet

_log: Final = logging.getLogger(__name__)
_MIN_CLUSTERED: Final = 3
"""Images that have a neighbour besides themselves and one more."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training that has not been started."""

    config: TrainConfig
    """Resolved: size and channels are those of the images."""
    data: TrainingData
    """Training images."""
    device: torch.device
    """Where to train."""
    group: ProcessGroup = SINGLE_PROCESS
    """The processes of the training."""

    @cached_property
    def stages(self) -> list[tuple[type[Stage], int]]:
        """The stages, each with its number of steps.

        Raises:
            DataError: There are fewer images than one batch.
        """
        return steps_by_stage(self.config, len(self.data.images))

    @property
    def total_steps(self) -> int:
        """Number of steps of all stages."""
        return sum(steps for _, steps in self.stages)

    @cached_property
    def digest(self) -> str:
        """Digest of the images.

        Raises:
            DataError: An image cannot be read.
        """
        return data_digest(self.data.images)

    def check(self) -> Plan:
        """Return the plan if it can be trained.

        Raises:
            DataError: There are fewer images than one batch.
            ConfigError: A network, loss term or scheme is not known, or does not fit.
            UsageError: There are more processes than images in a batch.
        """
        config, data, processes = self.config, self.data, self.group.size
        size = min(stage.batch_size_of(config) for stage, _ in self.stages if stage.shards_batches)
        if size < processes:
            raise UsageError(
                f"a batch of {size} images cannot be split between {processes} processes: "
                f"use --batch-size {processes} or more, or fewer processes"
            )
        check_names(config)
        networks = build_networks(config, size=data.size, channels=data.channels)
        check_updates(config, networks, self.group)
        if config.axis_alignments and not config.is_variational:
            first_layer(networks.generator)
        if config.networks.mean_start:
            networks.generator.last_bias(data.channels)
        if config.objective.turn_column is not None and config.condition_column is None:
            _log.warning(
                "Q learns the angle of transformation 'turn', but G may never follow it: that takes "
                "networks.conditional = true, and clustering"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--dry-run`` prints: the config and what follows from it."""
        networks = build_networks(self.config, size=self.data.size, channels=self.data.channels)
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.named_children()}
        count = len(self.data.images)
        return {
            "config": self.config.to_dict(),
            "images": count,
            "steps_per_epoch": whole_batches(count, self.config.schedule.batch_size),
            "steps": self.total_steps,
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
            "stages": planned_stages(self.stages),
            "data": {
                "name": data.name,
                "images": len(data.images),
                "size": data.size,
                "channels": data.channels,
                "digest": self.digest,
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
    """Load the images of a config and select the device; nothing is written.

    For the arguments see :func:`~infogan_tool.train.fit`.

    Raises:
        ConfigError, UsageError: The config is not possible.
        DataError: The images cannot be used.
        DeviceError: ``cuda`` is not available.
    """
    with group.fail_together():
        selected = select_device(device, threads) if group.is_single else group.device
    source = source_name(data)
    if source is not None:
        config = changed(config, {"data": {"source": source}})
    images = open_images(config, data, selected, stream, group)
    resolved: dict[str, Any] = {"data": {"size": images.size, "channels": images.channels}}
    if config.uses_clustering and (clustering := config.clustering) is not None:
        count = min(len(images.images), clustering.neighbours.images)
        if count < (least := max(_MIN_CLUSTERED, config.latent.categorical[0])):
            raise DataError(
                f"clustering takes at least {least} images for {config.latent.categorical[0]} categories, "
                f"not {count}: use more images, fewer categories (--categorical), or a preset without it"
            )
        size = min(count, clustering.batch_size)
        resolved["clustering"] = {"batch_size": size}
    if config.precision == "auto":
        resolved["precision"] = fast_precision(selected)
    # The main process's config holds: machines may differ in the precision that is fast.
    values = group.broadcast_json(deep_merge(config.to_dict(), resolved))
    with group.fail_together():
        return Plan(config=validate_config(values), data=images, device=selected, group=group).check()


def open_images(
    config: TrainConfig, data: Data | None, device: torch.device, stream: bool | None, group: ProcessGroup
) -> TrainingData:
    """Open the images of a config, or ``data``, in every process.

    Raises:
        DataError: They cannot be used.
    """
    for first in (True, False):  # one process of each machine downloads; then the others find the files
        with group.fail_together():
            if first == (group.local_rank == 0 or config.data.source not in TORCHVISION_NAMES):
                images = open_data(data, config.data, device=device, stream=stream)
    return images


def changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """Return a config with some values replaced.

    Raises:
        ConfigError: A value is not possible.
    """
    return validate_config(deep_merge(config.to_dict(), changes))
