"""The stages of a run, in order, and their numbers of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.train.clustering.contrastive import ContrastiveStage
from infogan_tool.train.clustering.grouping import GroupingStage
from infogan_tool.train.clustering.neighbours import NeighboursStage
from infogan_tool.train.clustering.refinement import RefinementStage
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.vae import VariationalStage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.engine.stage import Stage


def steps_by_stage(config: TrainConfig, count: int) -> list[tuple[type[Stage], int]]:
    """Return the stages of a run on ``count`` images, in order, each with its number of steps.

    Raises:
        DataError: There are fewer images than one batch.
    """
    stages: list[type[Stage]] = []
    if config.uses_clustering:
        stages += [ContrastiveStage, NeighboursStage, GroupingStage, RefinementStage]
    stages.append(VariationalStage if config.is_variational else AdversarialStage)
    if config.consolidation is not None:
        stages.append(ConsolidationStage)
    return [(stage, stage.count_steps(config, count)) for stage in stages]


def planned_stages(plan: Iterable[tuple[type[Stage], int]]) -> list[dict[str, str | int]]:
    """Return what run.json records of the stages: each one's ``name`` and number of ``steps``, in order."""
    return [{"name": stage.name, "steps": steps} for stage, steps in plan]
