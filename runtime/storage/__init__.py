"""Files: atomic writes, locks and untrusted JSON."""
