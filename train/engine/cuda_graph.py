"""A training step captured as a CUDA graph and replayed with one launch.

At these network sizes a GPU computes a kernel faster than Python launches it, and the updates of a step are
several hundred kernels. Everything that a step reads must keep its address: images, weights and gradients
do, the optimizers are capturable, the random generator is registered with the graph, and the indices of the
batch's images are copied into place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from infogan_tool.runtime.errors import UsageError
from infogan_tool.train.engine.registry import describe_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_EAGER_STEPS: Final = 3
"""Steps before the capture, in which libraries choose their kernels and optimizers create their states."""


class CudaGraphStep:
    """A step that runs eagerly a few times, is then captured, and from then on replayed, with equal results.

    Args:
        step: Does a step on the images of the given indices ``(N,)`` and returns scalars, without waiting
            for the device.
        rng: Its source of randomness, on the GPU.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], rng: torch.Generator) -> None:
        self._step, self._rng = step, rng
        self._count = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._index = torch.empty(0, dtype=torch.long, device=rng.device)
        self._scalars = torch.empty(0, device=rng.device)

    def __call__(self, index: Tensor) -> Tensor:
        """Do a step; the returned scalars are valid until the next one."""
        if self._graph is None:
            if self._count < _EAGER_STEPS:
                self._count += 1
                return self._run_eagerly(index)
            self._graph = self._capture(index)
        self._index.copy_(index)
        self._graph.replay()
        return self._scalars

    def _run_eagerly(self, index: Tensor) -> Tensor:
        # On a side stream, as captures are: it must share no allocation with the default stream.
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            scalars = self._step(index)
        current.wait_stream(side)
        return scalars

    def _capture(self, index: Tensor) -> torch.cuda.CUDAGraph:
        """Record the step; nothing is computed.

        Raises:
            UsageError: The step waits for the device or copies from the host.
        """
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._rng)
        self._index = index.clone()
        try:
            with torch.cuda.graph(graph):
                self._scalars = self._step(self._index)
        except RuntimeError as error:
            raise UsageError(
                f"this step cannot be captured as a CUDA graph: {describe_error(error)}; it may do nothing "
                "that waits for the GPU, such as .item(), or copies to it: add --no-capture"
            ) from error
        return graph
