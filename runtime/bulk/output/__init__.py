"""Output of codes as JSON lines, CSV and Parquet; see :mod:`infogan_tool.runtime.bulk`."""
