"""Inputs of bulk encoding: files, arrays and Parquet to chunks of images."""
