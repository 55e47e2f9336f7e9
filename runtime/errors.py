"""The exceptions of infogan-tool, with the exit codes of the command line.

Each message says what is wrong and how to fix it. Each class is also a subclass of the matching builtin.

    InfoganError                               exit code
    ├── UsageError (ValueError)                2  options that do not fit together
    │   └── ConfigError                        2  a key or value of a training config
    ├── LatentError (ValueError)               2  a code name or value that the latent spec does not have
    ├── ImageError (ValueError)                1  an image that cannot be read
    ├── BundleError (ValueError)               1  a bundle that is incomplete, mixed or of another schema
    ├── DeviceError (RuntimeError)             1  a requested device that cannot be used
    ├── DataError (ValueError)                 1  a data set that cannot be used
    ├── RunError (ValueError)                  1  a run folder or checkpoint that cannot be used
    │   └── PeerLostError                      1  another process of a training that ended
    ├── CallbackError (RuntimeError)           1  a callback of a training that raised an exception
    ├── ReportedElsewhereError (RuntimeError)  .  an error that another process of the training reports
    ├── NonFiniteError (ArithmeticError)       1  a loss or gradient that is not finite
    ├── ExportError (ValueError)               1  networks that ONNX cannot express
    ├── ParityError (ArithmeticError)          1  an exported graph whose outputs differ from torch's
    ├── PrecisionError (ArithmeticError)       1  a reduced precision that costs accuracy
    ├── OutputExistsError (FileExistsError)    1  an output that already exists
    ├── InUseError (RuntimeError)              1  an output that another process is writing
    ├── MissingToolError (RuntimeError)        1  another program that is not installed or fails
    └── MissingExtraError (ImportError)        1  an optional part that is not installed

The exit codes are those of :class:`ExitCode`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    """An option, code name or config key that is not valid."""
    SOME_FAILED = 3
    """Some inputs failed; the others are done."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM."""
    PIPE_CLOSED = 141
    """The reader of standard output has closed the pipe."""


class InfoganError(Exception):
    """Base of all exceptions of infogan-tool."""

    exit_code: int = ExitCode.FAILURE
    details: tuple[str, ...] = ()
    """Lines printed below the message."""
    run: Any = None
    """The :class:`~infogan_tool.train.Run` that failed, with its last good state; None outside of one."""


class UsageError(InfoganError, ValueError):
    """Options that do not fit together."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A training config with an unknown key or a value out of range."""


class LatentError(InfoganError, ValueError):
    """A latent spec, code name or code value that is not possible."""

    exit_code = ExitCode.USAGE


class ImageError(InfoganError, ValueError):
    """An image that cannot be read or does not fit the bundle."""


class BundleError(InfoganError, ValueError):
    """A bundle that is incomplete, mixed, damaged or of another schema."""


class DeviceError(InfoganError, RuntimeError):
    """A requested device that cannot be used."""


class DataError(InfoganError, ValueError):
    """A training data set that cannot be used."""


class RunError(InfoganError, ValueError):
    """A run folder or checkpoint that cannot be used."""


class PeerLostError(RunError):
    """Another process of a training that ended, or does not answer."""


class CallbackError(InfoganError, RuntimeError):
    """A callback of a training that raised an exception; the state was saved before."""


class ReportedElsewhereError(InfoganError, RuntimeError):
    """An error that another process reports; this one exits with the same code and prints nothing."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of this training reports the error")
        self.exit_code = exit_code


class NonFiniteError(InfoganError, ArithmeticError):
    """A loss or gradient that is not finite; raised before the update that would have used it."""


class ExportError(InfoganError, ValueError):
    """Networks with an operation that cannot be converted to ONNX."""


class ParityError(InfoganError, ArithmeticError):
    """An exported graph whose outputs differ from torch's by more than the tolerance."""

    def __init__(self, message: str, rows: Iterable[str]) -> None:
        super().__init__(message)
        self.details = tuple(rows)


class PrecisionError(InfoganError, ArithmeticError):
    """A bundle of reduced precision that has lost more accuracy than is allowed."""


class OutputExistsError(InfoganError, FileExistsError):
    """An output path that already exists; nothing was overwritten."""

    def __init__(self, path: object, remedy: str = "use --force to replace it, or give another name") -> None:
        super().__init__(f"{path} already exists: {remedy}")


class InUseError(InfoganError, RuntimeError):
    """An output that another process is writing; nothing was touched."""

    def __init__(self, what: str, holder: str) -> None:
        by = f" ({holder})" if holder else ""
        super().__init__(
            f"{what} is being written by another infogan-tool{by}: wait for it, or stop it first"
        )


class MissingToolError(InfoganError, RuntimeError):
    """Another program that is not installed, or fails."""


class MissingExtraError(InfoganError, ImportError):
    """An optional part of infogan-tool that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more packages: pip install 'infogan-tool[{extra}]'")


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the valid word nearest to ``word``, or the list of valid words."""
    import difflib  # noqa: PLC0415 - only for an error message

    choices = list(valid)
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (valid: {', '.join(choices)})" if choices else ""
