"""Callbacks: what a training calls at its start, after steps, reports and checkpoints, and at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import CallbackError, UsageError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from infogan_tool.train.run.run import Run

_log: Final = logging.getLogger(__name__)


class Callback:
    """A callback that does nothing; override the methods that are needed.

    Each method gets the run, whose ``step``, ``stage``, ``records`` and ``networks`` are the current ones.
    The networks are in training mode; ``run.generate`` and ``run.infer`` evaluate them without a change.
    ``run.stop()`` ends the training after the step, as Ctrl-C does. An exception ends it too: the state is
    saved first, then :func:`~infogan_tool.train.fit` raises a CallbackError. Of several processes only the
    main one calls callbacks.
    """

    def on_start(self, run: Run) -> None:
        """Do something before the first step."""

    def on_stage(self, run: Run) -> None:
        """Do something before the first step of each stage; ``run.stage`` is the stage."""

    def on_step(self, run: Run) -> None:
        """Do something after each step. Anything slow makes the training slow."""

    def on_report(self, run: Run, record: dict[str, Any]) -> None:
        """Do something with the metrics of a logging interval.

        Args:
            run: The run.
            record: Scalars by name, such as ``MI/lower_bound``, with ``step``, ``stage`` and ``stage_step``.
        """

    def on_checkpoint(self, run: Run, path: Path | None) -> None:
        """Do something after a checkpoint was saved.

        Args:
            run: The run.
            path: The file; None where the run has no folder.
        """

    def on_end(self, run: Run) -> None:
        """Do something after the last step, or after the training failed."""


METHODS: Final = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList:
    """Calls callbacks; the first exception stops the training.

    Args:
        callbacks: Objects with any of the methods of :class:`Callback`.

    Raises:
        UsageError: They are not a list, or an object has none of the methods, or one of a similar name.
    """

    def __init__(self, callbacks: Iterable[object]) -> None:
        self.callbacks: list[object] = []
        if not isinstance(callbacks, Iterable):
            raise UsageError("callbacks is a list of callbacks: put a single one in brackets")
        self.failure: CallbackError | None = None
        for callback in callbacks:
            self.add(callback)

    def add(self, callback: object) -> None:
        """Add a callback."""
        own = [name for name in dir(callback) if name.startswith("on_")]
        wrong = [name for name in own if name not in METHODS]
        if wrong:
            name = type(callback).__name__
            raise UsageError(f"callback {name} has a method {wrong[0]}{did_you_mean(wrong[0], METHODS)}")
        if not own or isinstance(callback, type):
            name = getattr(callback, "__name__", type(callback).__name__)
            raise UsageError(f"{name} is not a callback: it is an object with any of {', '.join(METHODS)}")
        self.callbacks.append(callback)

    def call(self, method: str, run: Run, *values: object) -> None:
        """Call a method of all callbacks; after an exception, stop the training and call none any more.

        At the end all are called, so that each can close its files.
        """
        for callback in self.callbacks:
            if self.failure is not None and method != "on_end":
                return
            try:
                getattr(callback, method, _nothing)(run, *values)
            except Exception as error:  # noqa: BLE001 - any code of the callback's author
                name = type(callback).__name__
                _log.debug("callback %s failed", name, exc_info=True)
                reason = " ".join(str(error).split())
                failure = CallbackError(
                    f"callback {name} failed in {method} after step {run.step}: "
                    f"{type(error).__name__}: {reason:.200}"
                )
                failure.__cause__ = error
                self.failure = self.failure or failure
                run.stop()


def _nothing(*_: object) -> None:
    pass
