"""Base class of the stages in which the generator learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.train.engine.stage import Stage, count_steps
from infogan_tool.train.infogan.sample_sheet import write_code_sheet, write_sample_sheet

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.train.config.schema import TrainConfig

_MEAN_IMAGES: Final = 1000
"""Random images whose mean colour G begins with."""
_CHUNK: Final = 50


class GeneratorStage(Stage):
    """A stage of the length that the schedule sets, with sample sheets."""

    trains_generator = True

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the schedule's length in steps."""
        return count_steps(config.schedule, count, config.schedule.batch_size)

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the schedule's batch size."""
        return config.schedule.batch_size

    def begin(self) -> None:
        """Let G begin with the mean colour of the real images, if the config says so."""
        session, networks = self.session, self.session.networks
        if not session.config.networks.mean_start:
            return
        rng = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(session.images), generator=rng)[:_MEAN_IMAGES].to(session.device)
        chunks = session.image_chunks(_CHUNK, chosen)
        sums = torch.stack([images.sum(dim=(0, 2, 3), dtype=torch.float64) for images in chunks])
        image = networks.image
        colour = (sums.sum(dim=0) / (len(chosen) * image.size**2) - image.low) / (image.high - image.low)
        for generator in (networks.generator, networks.generator_ema):
            if generator is not None:
                generator.set_mean(colour)

    def write_samples(self, path: Path, codes: Path) -> None:
        """Write a sheet with a row for each code, and one of fixed latents beside real images.

        In this order: who watches the folder finds the rows of a sheet that has appeared.
        """
        session = self.session
        write_code_sheet(codes, session.networks, seed=session.config.seed)
        write_sample_sheet(path, session.networks, session.images, seed=session.config.seed)
