"""Output of codes: JSON lines, CSV and Parquet."""
