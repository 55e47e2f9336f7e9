"""The ``infogan-tool`` command: where it starts, and how it ends.

The commonest command lines are told by :mod:`infogan_tool.cli.fast_path`, without the packages that parse and
format a command line, which take longer to import than an image takes to encode; all else is Typer's.
"""

import gc
import os
import sys
import threading
from typing import Final, NoReturn

from infogan_tool.cli import failures, fast_path, output

__all__ = ["entry", "main"]

_GARBAGE: Final = 50_000
"""Objects between two searches for unreachable ones; at Python's own 700, imports alone cause hundreds."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    Args:
        argv: Arguments without the program's name; None takes the process's.
    """
    # Before numpy is imported: starting OpenBLAS's threads costs more than they bring here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(_GARBAGE)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter the terminal lacks is no error
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        output.flush_stdout()
    except BaseException as error:  # noqa: BLE001 - this is where every error ends
        code = failures.report_error(error)
    output.settle_streams()
    return code


def entry() -> NoReturn:
    """Be the ``infogan-tool`` command: run the process's command line, and end with its exit code."""
    code = main()
    # All files are closed and the streams written out. Taking apart what onnxruntime and numpy have built
    # takes a fifth of the time of a single image. And gloo's threads outlive their process group: Python's
    # ending sometimes aborts on them. Where a thread of Python still works, that ending waits for it.
    if (fast_path.match(sys.argv[1:]) or _was_in_process_group()) and threading.active_count() == 1:
        os._exit(code)
    sys.exit(code)


def _was_in_process_group() -> bool:
    """Return whether this process has been one of torchrun's."""
    torchrun = sys.modules.get("infogan_tool.train.distributed.torchrun")
    return torchrun is not None and bool(torchrun.has_joined())


def _run(arguments: list[str]) -> int:
    command = fast_path.match(arguments)
    if command is not None:
        return command()
    from infogan_tool.cli import app

    return app.run(arguments)
