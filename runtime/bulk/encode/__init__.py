"""Encoding of decoded chunks; see :mod:`infogan_tool.runtime.bulk`."""
