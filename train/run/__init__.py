"""A training run.

============  ================================================================================
`launch`      plan, start or resume a training
`stages`      the stages of a run, and their numbers of steps
`loop`        the training loop
`resume`      what resuming reads, checks, restores and cuts
`folder`      the run folder and its files
`checkpoint`  checkpoints: format, writing, reading
`monitor`     metrics log and progress display
`options`     options that change no number
`signals`     stopping on a signal
============  ================================================================================
"""
