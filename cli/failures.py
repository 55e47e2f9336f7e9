"""Exceptions to one line on standard error and an exit code of :class:`ExitCode`."""

import os
import sys
from contextlib import suppress
from typing import Final

from infogan_tool.cli import output
from infogan_tool.runtime.errors import ExitCode, InfoganError

_TRACEBACK: Final = "INFOGAN_TOOL_TRACEBACK"

_OUT_OF_MEMORY: Final = ("DefaultCPUAllocator: can't allocate memory", "OutOfMemoryError")
"""Parts of torch's messages; its out-of-memory errors are RuntimeErrors."""
_MAX_SEARCHED: Final = 300


def report_error(error: BaseException) -> int:
    """Print one line about an exception on standard error and return the exit code.

    With ``INFOGAN_TOOL_TRACEBACK`` set in the environment, the traceback is printed before it.
    """
    if os.environ.get(_TRACEBACK):
        import traceback

        traceback.print_exception(error)
    code, message = _classify(error)
    if message:
        with suppress(OSError):  # standard error may be closed too
            output.error(message, prefix="")
            for line in getattr(error, "details", ()):
                output.error(line, prefix="  ")
    return code


def _classify(error: BaseException) -> tuple[int, str]:  # noqa: PLR0911 - a table
    typer = sys.modules.get("typer")  # not imported: then none of its errors was raised
    if isinstance(error, KeyboardInterrupt) or (typer and isinstance(error, typer.Abort)):
        return ExitCode.INTERRUPTED, "interrupted"
    # Rich, which prints the help, turns a closed pipe into a SystemExit.
    if isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
        return ExitCode.PIPE_CLOSED, ""
    if isinstance(error, SystemExit) and isinstance(error.code, int):  # of Typer's completion
        return error.code, ""
    if isinstance(error, InfoganError):
        return error.exit_code, f"error: {error}"
    # The base class of Typer's errors for a wrong command line has no public name in every release.
    if typer and isinstance(error, typer.BadParameter.__mro__[1]):
        return ExitCode.USAGE, f"error: {_usage_message(error)}"
    if isinstance(error, OSError):
        return ExitCode.FAILURE, f"error: {_system_message(error)}"
    if isinstance(error, MemoryError) or any(part in repr(error)[:_MAX_SEARCHED] for part in _OUT_OF_MEMORY):
        return ExitCode.FAILURE, "error: out of memory"
    hint = "" if os.environ.get(_TRACEBACK) else f" ({_TRACEBACK}=1 shows the traceback)"
    return ExitCode.FAILURE, f"internal error: {type(error).__name__}: {error}{hint}"


def _usage_message(error: BaseException) -> str:
    message = getattr(error, "format_message", error.__str__)().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "infogan-tool"
    return f"{' '.join(message.split()).rstrip('.')} (see {command} --help)"


def _system_message(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason
