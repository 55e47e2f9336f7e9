"""Latents: the specification and sampling."""
