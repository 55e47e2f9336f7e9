"""Command-line arguments to chunks of images; see :mod:`infogan_tool.runtime.bulk`."""
