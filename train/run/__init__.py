"""A training run.

============  ================================================================================
`fit`         :func:`fit`: start or resume a training
`plan`        :class:`Plan`: what a training will do, checked before anything is written
`run`         :class:`Run`: what a training returns
`stages`      the stages of a run, and their numbers of steps
`loop`        the training loop
`callbacks`   what is called during a training
`loggers`     callbacks that write metrics: JSON lines, TensorBoard
`resume`      what resuming reads, checks, restores and cuts
`folder`      the run folder and its files
`checkpoint`  checkpoints: format, writing, reading
`options`     options that change no number
`signals`     stopping on a signal
============  ================================================================================
"""
