"""Bundles of reduced precision."""
