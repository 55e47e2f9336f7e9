"""Base classes of the clustering stages: those that learn on batches, and those of a single step."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from infogan_tool.train.engine.stage import Session, Stage, count_steps

if TYPE_CHECKING:
    from infogan_tool.train.config.clustering import ClusteringConfig, ContrastiveConfig, RefinementConfig
    from infogan_tool.train.config.schema import TrainConfig


class LearningStage(Stage):
    """A stage that learns on batches, for a length of its own."""

    @classmethod
    @abstractmethod
    def length_of(cls, config: TrainConfig) -> ContrastiveConfig | RefinementConfig:
        """Return the table with the stage's length."""

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return the clustering stages' batch size."""
        return clustering_config(config).batch_size

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return the stage's length in steps."""
        return count_steps(cls.length_of(config), count, cls.batch_size_of(config))


class SingleStepStage(Stage):
    """A stage whose only step computes an artifact from all images.

    It takes from seconds to a minute, and depends on the results of earlier stages alone: a run that is
    stopped during it repeats it.
    """

    shards_batches = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.batch_size = len(session.images)

    def read_ahead(self, start: int, stop: int) -> None:
        """Do nothing: the images are read in chunks."""

    @classmethod
    def batch_size_of(cls, config: TrainConfig) -> int:
        """Return 1: no batch needs to be filled."""
        return 1

    @classmethod
    def count_steps(cls, config: TrainConfig, count: int) -> int:
        """Return 1."""
        return 1


def clustering_config(config: TrainConfig) -> ClusteringConfig:
    """Return the table ``clustering``, which a run with these stages has."""
    assert config.clustering is not None
    return config.clustering
