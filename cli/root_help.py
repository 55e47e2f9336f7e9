"""The help of ``infogan-tool`` itself, in plain text because importing Rich is slow; flags without types."""

from typing import Any

from typer.core import TyperGroup


class RootHelp(TyperGroup):
    """The group of all commands; the help of each command is Typer's."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - Typer's types have no public name
        """Return a command, whose help shows flags as ``--json`` instead of ``--json <bool>``."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            for parameter in command.get_params(ctx):
                if getattr(parameter, "is_flag", False):
                    parameter.metavar = ""
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's types have no public name
        """Write usage, options, the commands by panel, and the epilog."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        options = (parameter.get_help_record(ctx) for parameter in self.get_params(ctx))
        sections: dict[str, list[tuple[str, str]]] = {"Options": [record for record in options if record]}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            panel = getattr(command, "rich_help_panel", None)
            first_line = (command.help or "").strip().partition("\n")[0]
            sections.setdefault(panel if isinstance(panel, str) else "Commands", []).append(
                (name, first_line)
            )
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        self.format_epilog(ctx, formatter)
