"""The Typer application: the sub-commands of ``infogan-tool``.

Nothing heavy is imported here or at the top of a command's file, so that ``--help`` is fast.
"""

import functools
import inspect
import os
from collections.abc import Callable
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
from infogan_tool.cli.options import QuietOption, VerboseOption
from infogan_tool.cli.root_help import RootHelp
from infogan_tool.runtime.errors import ExitCode, UsageError

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

_PANELS: Final[dict[str, tuple[Callable[..., object], ...]]] = {
    "Make a bundle": (train, export, sweep, name, select),
    "Use a bundle": (encode, generate, traverse, outliers, sort, explore, evaluate, report, info, doctor),
}


def _with_verbosity(command: Callable[..., object]) -> Callable[..., object]:
    """Add --quiet and --verbose to a command."""

    @functools.wraps(command)
    def run_command(*, quiet: bool, verbose: bool, **options: object) -> object:
        if quiet and verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        output.set_verbosity(output.Verbosity(1 - quiet + verbose))
        return command(**options)

    added = {"quiet": QuietOption, "verbose": VerboseOption}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in added.items()
    ]
    signature = inspect.signature(command, eval_str=True)
    shown = signature.replace(parameters=[*signature.parameters.values(), *parameters])
    run_command.__signature__ = shown  # type: ignore[attr-defined]  # Typer reads it
    run_command.__annotations__ = {name: parameter.annotation for name, parameter in shown.parameters.items()}
    return run_command


for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_with_verbosity(_command))


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
