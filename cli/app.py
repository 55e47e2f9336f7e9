"""The Typer application: the sub-commands of ``infogan-tool``.

Nothing heavy is imported here or at the top of a command's file, so that ``--help`` is fast.
"""

import os
from typing import Annotated, Final

import typer

from infogan_tool.cli import output
from infogan_tool.cli.commands.doctor import doctor
from infogan_tool.cli.commands.evaluate import evaluate
from infogan_tool.cli.commands.explore import explore
from infogan_tool.cli.commands.export import export
from infogan_tool.cli.commands.generate import generate
from infogan_tool.cli.commands.info import info
from infogan_tool.cli.commands.name import name
from infogan_tool.cli.commands.outliers import outliers
from infogan_tool.cli.commands.report import report
from infogan_tool.cli.commands.select import select
from infogan_tool.cli.commands.sort import sort
from infogan_tool.cli.commands.sweep import sweep
from infogan_tool.cli.commands.train import train
from infogan_tool.cli.commands.traverse import traverse
from infogan_tool.cli.encode.command import encode
from infogan_tool.cli.fast_path import version_line
from infogan_tool.cli.root_help import RootHelp
from infogan_tool.runtime.errors import ExitCode

_EPILOG: Final = (
    "Exit codes: 0 success; 1 failure; 2 wrong option, code name or config key; 3 some inputs failed, the "
    "others are done; 130 interrupted; 141 the reader of a pipe has closed it."
)

_WIDTH: Final = 100
"""Maximum width of the help."""
_NAME: Final = "infogan-tool"
_COMPLETION: Final = "_INFOGAN_TOOL_COMPLETE"
"""Environment variable by which a shell asks for completions."""

app = typer.Typer(
    name=_NAME,
    cls=RootHelp,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH},
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
)

_MAKE: Final = "Make a bundle"
_USE: Final = "Use a bundle"

app.command(rich_help_panel=_MAKE)(train)
app.command(rich_help_panel=_MAKE)(export)
app.command(rich_help_panel=_MAKE)(sweep)
app.command(rich_help_panel=_MAKE)(name)
app.command(rich_help_panel=_MAKE)(select)
app.command(rich_help_panel=_USE)(encode)
app.command(rich_help_panel=_USE)(generate)
app.command(rich_help_panel=_USE)(traverse)
app.command(rich_help_panel=_USE)(outliers)
app.command(rich_help_panel=_USE)(sort)
app.command(rich_help_panel=_USE)(explore)
app.command(rich_help_panel=_USE)(evaluate)
app.command(rich_help_panel=_USE)(report)
app.command(rich_help_panel=_USE)(info)
app.command(rich_help_panel=_USE)(doctor)


def _show_version(asked: bool) -> None:
    if asked:
        output.emit(version_line())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Train an InfoGAN, export it to ONNX, and encode and generate images without torch."""
    if context.invoked_subcommand is None:
        output.emit(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code.

    Raises:
        BaseException: Exceptions of the command, and Typer's for a wrong command line.
    """
    group = typer.main.get_command(app)
    if _COMPLETION in os.environ:
        group.main(prog_name=_NAME)  # prints the completions and exits
    try:
        # Not group.main(), which prints errors and exits itself.
        with group.make_context(_NAME, list(arguments)) as context:
            group.invoke(context)
    except typer.Exit as wanted:
        return wanted.exit_code
    return 0
