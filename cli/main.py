"""Entry point of the ``infogan-tool`` command.

The most common command lines are parsed by :mod:`infogan_tool.cli.fast_path`, because importing Typer takes
longer than encoding an image; all others are parsed by Typer.
"""

import gc
import os
import sys
import threading
from typing import Final, NoReturn

from infogan_tool.cli import failures, fast_path, output

_GARBAGE: Final = 50_000
"""Threshold of the garbage collector; with Python's 700, imports alone cause hundreds of collections."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    Args:
        argv: Arguments without the program's name; None takes the process's.
    """
    # Before numpy is imported: starting OpenBLAS's threads takes longer than they save here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(_GARBAGE)
    if sys.stderr is None:  # closed: messages must not go to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the process ends
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # characters that the terminal lacks are escaped
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        output.flush_stdout()
    except BaseException as error:  # noqa: BLE001 - every exception becomes a message
        code = failures.report_error(error)
    output.settle_streams()
    return code


def entry() -> NoReturn:
    """Run the process's command line and end the process with its exit code."""
    code = main()
    # Files are closed and streams flushed, so the process may exit at once. Python's own shutdown of
    # onnxruntime and numpy takes a fifth of the time of a single image, and it may abort on gloo's threads,
    # which outlive their process group. It is needed only if another Python thread is running.
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
