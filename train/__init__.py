"""The training backend (PyTorch): images and a config in, a run folder out.

===============  =======================================================================
`presets`        named configs; `config` is their shape and their validation
`data`           from ``--data`` to one block of uint8 images
`networks`       generator, trunk, D head, Q head
`losses`         the terms of the objective; `augment` is what D and Q see of an image
`updates`        the updates of a step of the game, and which parameters each moves; `descent` moves them
`stage`          what the parts of a run have in common: `posterior`, `adversarial`, `consolidation`
`loop`           the loop; `checkpoint`, `run`, `monitor`, `sheets` are what it writes
`start`          from the command's options to a running loop; `profiling` looks at its steps
`distributed`    many processes on one batch; `normalising` is their BatchNorm, `torchrun` their place
===============  =======================================================================
"""
