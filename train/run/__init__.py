"""A training run: launch, resume, the loop, and what is written to the run folder."""
