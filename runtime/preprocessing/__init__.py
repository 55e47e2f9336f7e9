"""Preprocessing of photographs, scans and drawings for the encoder."""
