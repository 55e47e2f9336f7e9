"""How a training is run. Nothing of it changes a number that it writes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RunOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What is not part of a run's config."""

    tensorboard: bool = False
    """Whether to write the scalars for TensorBoard too."""
    profile: bool = False
    """Whether to look at some steps of each stage; see :mod:`infogan_tool.train.engine.profiling`."""
    capture: bool = True
    """Whether a GPU gets D's and G's step as one CUDA graph; not with a profile, nor in a group."""
