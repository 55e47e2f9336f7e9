"""Images: files, arrays and formats."""
