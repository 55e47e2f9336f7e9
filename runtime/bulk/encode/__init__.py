"""Encoding of decoded chunks."""
