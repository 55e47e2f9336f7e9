"""Decoding of chunks; see :mod:`infogan_tool.runtime.bulk`."""
