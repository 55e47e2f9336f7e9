"""A training step recorded once as a CUDA graph, and then launched as one piece.

At these network sizes a GPU takes less time for a kernel than Python takes to ask for it: D's and G's
updates are several hundred kernels. Everything that a step reads must stay at its address, which holds here:
images, weights and gradients do, the optimizers are capturable, the generator of random numbers is
registered with the graph, and the numbers of the batch's images are copied into place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["CapturedStep"]

_EAGER: Final = 3
"""Steps before the capture: libraries choose their kernels, optimizers make their states."""


class CapturedStep:
    """A step that is run as it is for a few times, then captured, then replayed; the numbers are the same.

    Args:
        step: Does a step on the images of the given numbers ``(N,)`` and returns scalars, without waiting
            for the device.
        rng: What it draws from, on the GPU.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], rng: torch.Generator) -> None:
        self._step, self._rng = step, rng
        self._seen = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index = torch.empty(0, dtype=torch.long, device=rng.device)
        self._scalars = torch.empty(0, device=rng.device)

    def __call__(self, index: Tensor) -> Tensor:
        """Do a step; the scalars hold until the next one."""
        if self._graph is None:
            if self._seen < _EAGER:
                self._seen += 1
                return self._aside(index)
            self._graph = self._captured(index)
        self._index.copy_(index)
        self._graph.replay()
        return self._scalars

    def _aside(self, index: Tensor) -> Tensor:
        # On a stream of its own, as captures are: nothing allocated for it is shared with the default one.
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            scalars = self._step(index)
        current.wait_stream(aside)
        return scalars

    def _captured(self, index: Tensor) -> torch.cuda.CUDAGraph:
        """Record the step; nothing is computed."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._rng)
        self._index = index.clone()
        with torch.cuda.graph(graph):
            self._scalars = self._step(self._index)
        return graph
