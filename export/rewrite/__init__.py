"""Exact rewrites of networks for faster inference."""
