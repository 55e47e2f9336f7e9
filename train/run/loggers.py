"""Loggers: metrics.jsonl and TensorBoard. Both are callbacks; see examples/loggers for others."""

from __future__ import annotations

import errno
import json
import os
import time
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from infogan_tool.runtime.errors import MissingExtraError
from infogan_tool.train.run.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infogan_tool.train.run.run import Run


class JsonLinesLogger(Callback, AbstractContextManager["JsonLinesLogger"]):
    """Write each report as a JSON object on a line of its own.

    Args:
        path: The file; lines are appended.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._file = open(path, "a", encoding="utf-8", newline="\n")  # noqa: PTH123, SIM115 - closed in on_end

    def on_report(self, run: Run, record: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """Write and flush ``record``.

        Raises:
            OSError: The disk is full, or the file was removed; names it.
        """
        with self._named():
            if not os.fstat(self._file.fileno()).st_nlink:  # otherwise lines would be lost without an error
                raise FileNotFoundError(errno.ENOENT, "it was removed while the training ran")
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Flush all lines to the disk."""
        with self._named():
            os.fsync(self._file.fileno())

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = str(self._path)
            raise

    def on_end(self, run: Run) -> None:  # noqa: ARG002 - the protocol's
        """Close the file."""
        self.__exit__()

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        with suppress(OSError):  # a failed write was an error before
            self._file.close()


class _ScalarSink(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


def summary_writer() -> Callable[[str], _ScalarSink]:
    """Return TensorBoard's writer, which takes the folder of its files.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("--tensorboard", "tensorboard") from error
    return SummaryWriter


class TensorBoardLogger(Callback):
    """Write the scalars of each report for TensorBoard.

    Args:
        folder: Folder of TensorBoard's files.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        self._writer = summary_writer()(str(folder))

    def on_report(self, run: Run, record: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """Write the scalars of ``record``."""
        for name, value in record.items():
            if "/" in name:
                self._writer.add_scalar(name, value, record["step"])

    def on_end(self, run: Run) -> None:  # noqa: ARG002 - the protocol's
        """Close the file."""
        self._writer.close()


class SpeedClock:
    """Measures speed between readings.

    Args:
        step: Steps completed so far.
        batch_size: Images per step.
    """

    def __init__(self, step: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._step, self._time = step, time.perf_counter()

    def read(self, step: int) -> dict[str, float]:
        """Return seconds per step and images per second since the last reading, by metric name."""
        now = time.perf_counter()
        seconds = (now - self._time) / max(step - self._step, 1)
        self._step, self._time = step, now
        return {"Timing/sec_per_step": seconds, "Timing/images_per_sec": self._batch_size / seconds}
