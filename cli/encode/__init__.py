"""The ``encode`` command."""
