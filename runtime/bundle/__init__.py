"""The bundle: metadata, files and the opened bundle."""
