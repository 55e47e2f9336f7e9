"""Batches of a few fixed sizes, through inputs and outputs that stay on the device.

A GPU's libraries settle anew how they compute a layer for every batch size that they have not seen yet. So a
batch is filled up to the next of a few sizes, its bucket, by repeating its last row, and what comes of those
rows is cut off. Each bucket has buffers of its own; threads that share a graph take turns.
"""

# ruff: noqa: ANN401 - onnxruntime's type stubs differ from release to release, so its objects are Any here

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from infogan_tool.runtime.inference.graph_scan import TensorInfo

    Arrays = Mapping[str, npt.NDArray[Any]]
    Infos = Mapping[str, TensorInfo]

__all__ = ["BUCKETS", "BucketedGraph", "bucket_of"]

BUCKETS: Final = (2, 16, 256)
"""Rows of each. Not 1: a matrix product of one row adds in another order than the same row among others."""


def bucket_of(count: int) -> int:
    """Return the smallest bucket that holds ``count`` rows; the largest where none does."""
    return next((size for size in BUCKETS if count <= size), BUCKETS[-1])


class BucketedGraph:
    """An open session, run in buckets; usable from several threads.

    Args:
        ort: The module onnxruntime.
        session: Its session. The first axis of every input and output is the batch, all others are fixed.
        inputs: By name.
        outputs: By name.
        device: Where the buffers are, as onnxruntime calls it: ``"cuda"`` or ``"cpu"``.
    """

    def __init__(self, ort: Any, session: Any, inputs: Infos, outputs: Infos, *, device: str) -> None:
        self._ort = ort
        self._session = session
        self._inputs = inputs
        self._outputs = outputs
        self._device = device
        self._buckets: dict[int, _Bucket] = {}
        self._lock = Lock()

    def warm_up(self) -> None:
        """Run each bucket once, on zeros, so that no later batch is the first of its size.

        Raises:
            Exception: As :meth:`run`.
        """
        for size in BUCKETS:
            self.run({name: np.zeros((size, *_row(info)), info.dtype) for name, info in self._inputs.items()})

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Run any number of rows and return the outputs by name, in arrays that are the caller's.

        Raises:
            ValueError: The feeds are not what the graph takes.
            Exception: onnxruntime's own, where the device fails.
        """
        count = _check(feeds, self._inputs)
        found = {name: np.empty((count, *_row(info)), info.dtype) for name, info in self._outputs.items()}
        for start in range(0, count, BUCKETS[-1]):
            rows = slice(start, min(start + BUCKETS[-1], count))
            # The buffers are shared, and the device takes one batch at a time anyway.
            with self._lock:
                bucket = self._bucket(bucket_of(rows.stop - rows.start))
                bucket.run({name: feeds[name][rows] for name in self._inputs})
                bucket.take({name: values[rows] for name, values in found.items()})
        return found

    def _bucket(self, size: int) -> _Bucket:
        if size not in self._buckets:
            staged = {name: np.empty((size, *_row(info)), info.dtype) for name, info in self._inputs.items()}
            inputs, outputs = (
                {name: self._buffer((size, *_row(info)), info.dtype) for name, info in infos.items()}
                for infos in (self._inputs, self._outputs)
            )
            self._buckets[size] = _Bucket(self._session, staged, inputs, outputs)
        return self._buckets[size]

    def _buffer(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self._ort.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(dtype).type, self._device)


class _Bucket:
    """The buffers of one batch size, bound to the session."""

    def __init__(
        self, session: Any, staged: Arrays, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> None:
        self._session = session
        self._staged = staged  # whole batches on this side, so that each input is copied in one piece
        self._inputs = inputs
        self._outputs = outputs
        self._binding = session.io_binding()
        for name, value in inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(self, feeds: Arrays) -> None:
        """Run a batch of at least one row and no more than the bucket has."""
        for name, values in feeds.items():
            staged = self._staged[name]
            staged[: len(values)] = values
            staged[len(values) :] = values[-1]
            self._inputs[name].update_inplace(staged)
        # Returns when the outputs are there.
        self._session.run_with_iobinding(self._binding)

    def take(self, places: Arrays) -> None:
        """Copy the first rows of what the last batch gave to ``places``."""
        for name, place in places.items():
            place[:] = self._outputs[name].numpy()[: len(place)]


def _row(info: TensorInfo) -> tuple[int, ...]:
    """Return the shape of one row."""
    return tuple(side for side in info.shape[1:] if isinstance(side, int))


def _check(feeds: Arrays, inputs: Infos) -> int:
    """Return the number of rows; onnxruntime would copy another type or shape of as many values unasked."""
    if set(feeds) != set(inputs):
        raise ValueError(f"the inputs are {', '.join(inputs)}, not {', '.join(feeds) or 'none'}")
    for name, info in inputs.items():
        given = feeds[name]
        if given.dtype != info.dtype or given.shape[1:] != _row(info):
            raise ValueError(
                f"input {name} takes {info.dtype} in rows of {_row(info)}, not {given.dtype} {given.shape}"
            )
    counts = sorted({len(values) for values in feeds.values()})
    if len(counts) != 1:
        raise ValueError(f"the inputs have {' and '.join(map(str, counts))} rows")
    return counts[0]
