"""Options of a training that change none of its numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Options that are not part of a run's config."""

    tensorboard: bool = False
    """Whether to write the scalars for TensorBoard too."""
    profile: bool = False
    """Whether to profile some steps of each stage; see :mod:`infogan_tool.train.engine.profiling`."""
    capture: bool = True
    """Whether to capture each adversarial step as one CUDA graph. Ignored on a CPU, with ``profile`` and in
    several processes."""
    stream: bool | None = None
    """Whether images are read as they are needed, in processes of their own. None: where they take more than
    half of the memory."""
