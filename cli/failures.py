"""From an exception to one line on standard error and an exit code.

====  ===============================================================
code  meaning
====  ===============================================================
0     all was done
1     failure
2     usage: an option, a code name or a config key that is not possible
3     some inputs failed, the others were done
130   interrupted
141   the reader of standard output went away (as for any program in a pipe)
====  ===============================================================
"""

import os
import sys
from contextlib import suppress
from typing import Final

from infogan_tool.cli import output
from infogan_tool.runtime.errors import InfoganError

__all__ = ["FAILED", "INTERRUPTED", "PIPE_CLOSED", "SOME_FAILED", "USAGE", "exit_code"]

FAILED: Final = 1
USAGE: Final = 2
SOME_FAILED: Final = 3
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_TRACEBACK: Final = "INFOGAN_TOOL_TRACEBACK"

_OUT_OF_MEMORY: Final = ("DefaultCPUAllocator: can't allocate memory", "OutOfMemoryError")
"""How torch says it, whose errors are RuntimeErrors."""
_SIGN_WITHIN: Final = 300


def exit_code(error: BaseException) -> int:
    """Say on standard error what happened, in one line, and return the exit code."""
    if os.environ.get(_TRACEBACK):
        import traceback

        traceback.print_exception(error)
    code, message = _judge(error)
    if message:
        with suppress(OSError):  # nobody may be listening there either
            output.note(message)
            for line in getattr(error, "details", ()):
                output.note(f"  {line}")
    return code


def _judge(error: BaseException) -> tuple[int, str]:  # noqa: PLR0911 - a table
    typer = sys.modules.get("typer")  # where it was not needed, none of its errors can be here
    if isinstance(error, KeyboardInterrupt) or (typer and isinstance(error, typer.Abort)):
        return INTERRUPTED, "interrupted"
    # Rich, which writes the help, turns a closed pipe into an exit of its own.
    if isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
        return PIPE_CLOSED, ""
    if isinstance(error, InfoganError):
        return error.exit_code, f"error: {error}"
    # The base of all that Typer raises for a wrong command line has no public name in every release.
    if typer and isinstance(error, typer.BadParameter.__mro__[1]):
        return USAGE, f"error: {_usage(error)}"
    if isinstance(error, OSError):
        return FAILED, f"error: {_system(error)}"
    if isinstance(error, MemoryError) or any(sign in repr(error)[:_SIGN_WITHIN] for sign in _OUT_OF_MEMORY):
        return FAILED, "error: out of memory"
    hint = "" if os.environ.get(_TRACEBACK) else f" ({_TRACEBACK}=1 shows the traceback)"
    return FAILED, f"internal error: {type(error).__name__}: {error}{hint}"


def _usage(error: BaseException) -> str:
    message = getattr(error, "format_message", error.__str__)().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "infogan-tool"
    return f"{' '.join(message.split()).rstrip('.')} (see {command} --help)"


def _system(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason
