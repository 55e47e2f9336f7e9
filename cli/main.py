"""The ``infogan-tool`` command: its sub-commands, and how it ends.

Nothing heavy is imported here or at the top of a command's file, so that ``--help`` answers at once.
"""

import os
import sys
from typing import Annotated, Final

import typer

from infogan_tool import __version__
from infogan_tool.cli import failures, output
from infogan_tool.cli.doctor import doctor
from infogan_tool.cli.encode import encode
from infogan_tool.cli.evaluate import evaluate
from infogan_tool.cli.export import export
from infogan_tool.cli.generate import generate
from infogan_tool.cli.info import info
from infogan_tool.cli.sweep import sweep
from infogan_tool.cli.train import train
from infogan_tool.cli.traverse import traverse

__all__ = ["app", "main"]

_EPILOG: Final = (
    "Exit codes: 0 done, 1 failure, 2 usage, 3 some inputs failed and the others were done, 130 interrupted."
)

app = typer.Typer(
    name="infogan-tool",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=_EPILOG,
)

_MAKE: Final = "Make a bundle"
_USE: Final = "Use a bundle"

app.command(rich_help_panel=_MAKE)(train)
app.command(rich_help_panel=_MAKE)(export)
app.command(rich_help_panel=_MAKE)(sweep)
app.command(rich_help_panel=_USE)(encode)
app.command(rich_help_panel=_USE)(generate)
app.command(rich_help_panel=_USE)(traverse)
app.command(rich_help_panel=_USE)(evaluate)
app.command(rich_help_panel=_USE)(info)
app.command(rich_help_panel=_USE)(doctor)


def _show_version(asked: bool) -> None:
    if asked:
        output.emit(f"infogan-tool {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Train an InfoGAN, export it to ONNX, and read pictures through it without torch."""
    if context.invoked_subcommand is None:
        print(context.get_help(), end="")
        raise typer.Exit(failures.USAGE)


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    Args:
        argv: Arguments without the program's name; None takes the process's.
    """
    # Before numpy is imported: starting OpenBLAS's threads costs more than they bring here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter the terminal lacks is no error
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        output.flush_stdout()
    except BaseException as error:  # noqa: BLE001 - this is where every error ends
        code = failures.exit_code(error)
    output.settle_streams()
    return code


def _run(arguments: list[str]) -> int:
    group = typer.main.get_command(app)
    try:
        # Not group.main(), which would print and exit by rules of its own.
        with group.make_context("infogan-tool", list(arguments)) as context:
            group.invoke(context)
    except typer.Exit as wanted:
        return wanted.exit_code
    return 0
