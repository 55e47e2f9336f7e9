"""Decoding of chunks to arrays."""
