"""``python -m infogan_tool`` is the ``infogan-tool`` command."""

from infogan_tool.cli.main import entry

entry()
